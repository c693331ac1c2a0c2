# Controls Ruby's gem stomp by lines of JSON, which remote.mjs describes.

require 'base64'
require 'json'
require 'stomp'

OUTPUT = Mutex.new
Thread.report_on_exception = false

# A connection, which prints its events.
class Peer
  def initialize(name)
    @name = name
  end

  def open(version:, heart_beats:, **broker)
    headers = { 'accept-version' => version, host: '/', 'heart-beat' => "#{heart_beats},#{heart_beats}" }
    connect(broker, version == '1.0' ? {} : headers, reliable: false)
    frame = @connection.connection_frame
    report(frame.command.downcase, headers: frame.headers)
    @receiver = Thread.new { receive }
  end

  # The connection reconnects and subscribes again by itself.
  def subscribe_forever(destination:, **broker)
    connect(broker, { 'accept-version' => '1.2', host: '/' }, reliable: true)
    @connection.subscribe(destination, { id: '0' }, '0')
    @receiver = Thread.new { receive }
  end

  def send_message(destination:, body:, headers:)
    @connection.publish(destination, Base64.decode64(body), headers)
  end

  def subscribe(destination:, id:, ack:, headers:)
    @connection.subscribe(destination, headers.merge(id: id, ack: ack), id)
  end

  def unsubscribe(destination:, id:, headers:)
    @connection.unsubscribe(destination, headers.merge(id: id), id)
  end

  def ack(message:, headers:)
    @connection.ack(*delivery(message, headers))
  end

  def nack(message:, headers:)
    @connection.nack(*delivery(message, headers))
  end

  def begin(transaction:, headers:)
    @connection.begin(transaction, headers)
  end

  def commit(transaction:, headers:)
    @connection.commit(transaction, headers)
  end

  def abort(transaction:, headers:)
    @connection.abort(transaction, headers)
  end

  # `disconnect` waits for the RECEIPT itself.
  def leave
    @receiver.kill.join
    @connection.disconnect(receipt: 'disconnect')
    report('receipt', headers: @connection.disconnect_receipt.headers) if @connection.disconnect_receipt
    report('left')
  end

  # The gem closes a connection only after DISCONNECT.
  def terminate
    @connection.instance_variable_get(:@socket)&.shutdown
  end

  # Ends the thread that sends heart-beats.
  def stop_sending
    @connection.instance_variable_get(:@st).kill
  end

  # The gem's logger hears of each interval of heart-beats. In the first one, the gem assumes that something arrived.
  def on_hbfire(_parameters, kind, _details)
    report('heart-beat') if kind == 'receive_fire' && @connection.hb_received
  end

  def on_miscerr(_parameters, _text); end

  def on_connectfail(_parameters); end

  def report(event, **details)
    OUTPUT.synchronize do
      puts JSON.generate(peer: @name, event: event, **details)
      $stdout.flush
    end
  end

  private

  def connect(broker, headers, reliable:)
    @connection = Stomp::Connection.new(
      hosts: [broker], connect_headers: headers, reliable: reliable, logger: self, autoflush: true,
      max_reconnect_delay: 0.2
    )
  end

  # The header that identifies a message in the version, and the other headers.
  def delivery(message, headers)
    return [message['ack'], headers] if @connection.protocol == Stomp::SPL_12

    [message['message-id'], headers.merge(subscription: message['subscription'])]
  end

  def receive
    while (frame = @connection.receive)
      report(frame.command.downcase, headers: frame.headers, body: Base64.strict_encode64(frame.body))
    end
    report('end', reason: 'the connection ended')
  rescue StandardError => e
    report('end', reason: e.inspect)
  end
end

peers = Hash.new { |all, name| all[name] = Peer.new(name) }
$stdin.each_line do |line|
  call = JSON.parse(line, symbolize_names: true)
  name = call[:call] == 'send' ? :send_message : call[:call]
  arguments = call[:args].transform_values { |value| value.is_a?(Hash) ? value.transform_keys(&:to_s) : value }
  peers[call[:peer]].public_send(name, **arguments)
rescue StandardError => e
  peers[call[:peer]].report('end', reason: e.inspect)
end
