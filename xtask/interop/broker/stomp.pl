# Controls Perl's Net::Stomp by lines of JSON, which remote.mjs describes.

use v5.36;
use IO::Select;
use JSON::PP;
use MIME::Base64;
use Net::Stomp;
use Net::Stomp::Frame;

my $json = JSON::PP->new->utf8;
# The connections, by the names of their peers.
my %connections;

my %calls = (
    open => sub ($peer, %args) {
        my $stomp = connection(%args, initial_reconnect_attempts => 1);
        my %version = $args{version} eq '1.0' ? () : ('accept-version' => $args{version}, host => '/');
        my $frame = $stomp->connect({ login => $args{login}, passcode => $args{passcode}, %version });
        $connections{$peer} = $stomp;
        received($peer, $frame);
    },
    # The client reconnects and subscribes again by itself.
    subscribe_forever => sub ($peer, %args) {
        my $stomp = connection(%args, reconnect_attempts => 0, connect_delay => 1);
        $stomp->connect({ login => $args{login}, passcode => $args{passcode} });
        $stomp->subscribe({ destination => $args{destination}, id => '0' });
        $stomp->{forever} = 1;
        $connections{$peer} = $stomp;
    },
    send => sub ($peer, %args) {
        # With bytes_message, the client sends content-length.
        my %frame = (destination => $args{destination}, body => decode_base64($args{body}), bytes_message => 1);
        $connections{$peer}->send({ %frame, %{ $args{headers} } });
    },
    subscribe => sub ($peer, %args) {
        $connections{$peer}->subscribe({ frame(\%args, qw(destination id ack)) });
    },
    unsubscribe => sub ($peer, %args) {
        $connections{$peer}->unsubscribe({ frame(\%args, qw(destination id)) });
    },
    ack => sub ($peer, %args) { $connections{$peer}->ack({ delivery(%args) }) },
    nack => sub ($peer, %args) { $connections{$peer}->nack({ delivery(%args) }) },
    # For these, the client has only send_frame.
    begin => sub ($peer, %args) { transaction($peer, 'BEGIN', %args) },
    commit => sub ($peer, %args) { transaction($peer, 'COMMIT', %args) },
    abort => sub ($peer, %args) { transaction($peer, 'ABORT', %args) },
    terminate => sub ($peer, %) {
        my $stomp = delete $connections{$peer};
        $stomp->socket->close if $stomp;
    },
);

sub connection (%args) {
    my %options = map { $_ => $args{$_} } grep { exists $args{$_} } qw(initial_reconnect_attempts reconnect_attempts connect_delay);
    return Net::Stomp->new({ hostname => $args{host}, port => $args{port}, %options });
}

# The headers of a frame: the named arguments, and those in `headers`.
sub frame ($args, @names) {
    return ((map { $_ => $args->{$_} } @names), %{ $args->{headers} });
}

# The client sends the message-id. STOMP 1.1 needs the subscription, too, and STOMP 1.2 the header `ack`.
sub delivery (%args) {
    my $message = $args{message};
    my %headers = (subscription => $message->{subscription}, %{ $args{headers} });
    $headers{id} = $message->{ack} if exists $message->{ack};
    return (frame => Net::Stomp::Frame->new({ headers => $message }), %headers);
}

sub transaction ($peer, $command, %args) {
    my %headers = frame(\%args, 'transaction');
    $connections{$peer}->send_frame(Net::Stomp::Frame->new({ command => $command, headers => \%headers }));
}

# Reports a frame, or the end of the connection if there is none.
sub received ($peer, $frame) {
    if (!$frame) {
        delete $connections{$peer};
        return report($peer, 'end', reason => 'the connection ended');
    }
    report($peer, lc $frame->command, headers => $frame->headers, body => encode_base64($frame->body // '', ''));
}

sub report ($peer, $event, %details) {
    print $json->encode({ peer => $peer, event => $event, %details }), "\n";
}

$| = 1;
my $input = '';
while (1) {
    my @handles = map { $_->socket } values %connections;
    # A connection may hold more frames than its socket shows.
    my ($calls) = grep { $_ == \*STDIN } IO::Select->new(\*STDIN, @handles)->can_read(0.05);
    if ($calls) {
        sysread(STDIN, $input, 1 << 20, length $input) or last;
        while ($input =~ s/^(.*)\n//) {
            my $call = $json->decode($1);
            my ($peer, $action) = ($call->{peer}, $calls{ $call->{call} });
            next unless $call->{call} =~ /^(open|subscribe_forever)$/ || $connections{$peer};
            eval { $action->($peer, %{ $call->{args} }); 1 } or report($peer, 'end', reason => "$@");
        }
    }
    for my $peer (keys %connections) {
        my $stomp = $connections{$peer};
        while ($connections{$peer} && $stomp->can_read({ timeout => 0 })) {
            my $frame = $stomp->receive_frame;
            # The next call of receive_frame reconnects.
            last if !$frame && $stomp->{forever} && (eval { $stomp->receive_frame({ timeout => 0.1 }) }, 1);
            received($peer, $frame);
        }
    }
}
