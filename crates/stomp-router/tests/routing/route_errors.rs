//! Errors in routes, reported by `Router::build`.

use stomp_frame::Command;
use stomp_router::Router;
use stomp_session::{DestinationSyntax, PrefixSyntax};

#[test]
fn build_reports_all_errors_with_their_source_locations() {
    async fn sink() {}
    let before = line!();
    let router = Router::new()
        .connect(sink)
        .send("/rooms/{room}", sink)
        .subscribe("/rooms/:name", sink)
        .send("/rooms/:name", sink)
        .nest("/files", Router::new().send("/{*rest}", sink))
        .send("/files/{*all}", sink)
        .send("/broken/{", sink)
        .subscribe("/prices", sink)
        .subscribe("/prices", sink)
        .unsubscribe("/prices", sink)
        .connect(sink)
        .route_service(Command::Ack, "/prices", Router::new().build().unwrap())
        .fallback(sink)
        .fallback(sink);
    let errors = router.build().unwrap_err();
    let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
    let at = |line| format!("({}:{}:", file!(), before + line);
    let expected = [
        [
            "SEND \"/rooms/:name\"",
            &at(5),
            "conflicts with SEND \"/rooms/{room}\"",
            &at(3),
        ],
        [
            "SEND \"/files/{*all}\"",
            &at(7),
            "conflicts with SEND \"/files/{*rest}\"",
            &at(6),
        ],
        ["SEND \"/broken/{\"", &at(8), "has a malformed pattern", ""],
        [
            "SUBSCRIBE \"/prices\"",
            &at(10),
            "conflicts with SUBSCRIBE \"/prices\"",
            &at(9),
        ],
        ["CONNECT", &at(12), "conflicts with CONNECT", &at(2)],
        ["ACK \"/prices\"", &at(13), "cannot have a route", ""],
        ["fallback", &at(15), "conflicts with fallback", &at(14)],
    ];
    assert_eq!(texts.len(), expected.len(), "{texts:#?}");
    for (text, parts) in texts.iter().zip(expected) {
        let mut rest = text.as_str();
        for part in parts {
            rest = rest
                .split_once(part)
                .unwrap_or_else(|| panic!("{text} does not contain {part:?}"))
                .1;
        }
        assert!(errors.to_string().contains(text.as_str()), "{errors}");
    }
}

#[test]
fn a_second_connect_or_disconnect_handler_is_an_error() {
    async fn sink() {}
    let router = || Router::<()>::new().connect(sink).disconnect(sink);
    assert!(router().build().is_ok());
    for (router, command) in [
        (router().connect(sink), "CONNECT"),
        (router().disconnect(sink), "DISCONNECT"),
    ] {
        let errors = router.build().unwrap_err();
        assert_eq!(errors.iter().count(), 1);
        assert!(errors.to_string().starts_with(command), "{errors}");
    }
}

#[test]
fn a_route_that_matches_no_destination_of_the_syntax_is_an_error() {
    async fn sink() {}
    let router = || {
        Router::<()>::new()
            .send("/topic/files.private.{x}", sink)
            .nest("/topic/a.b", Router::new().fallback(sink))
            .send("/notes/{name}.txt", sink)
    };
    assert!(router().build().is_ok());
    let syntax = DestinationSyntax::default().with_prefix("/topic/", PrefixSyntax::dotted());
    let errors = router().destinations(syntax).build().unwrap_err();
    let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 2, "{texts:#?}");
    for (text, (start, cure)) in texts.iter().zip([
        (
            "SEND \"/topic/files.private.{x}\"",
            "/topic/files/private/{x}",
        ),
        ("fallback \"/topic/a.b\"", "/topic/a/b"),
    ]) {
        assert!(text.starts_with(start), "{text}");
        assert!(text.ends_with(&format!("write {cure:?}")), "{text}");
    }
}
