//! Single decisions about a client and a destination.

use crate::{BOTH, check, check_as, code, code_of, parse};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use stomp_broker::{Action, Rules, Who, destination_syntax};
use stomp_frame::{Command, Frame};
use stomp_session::{ClientError, DestinationSyntax, PrefixSyntax, Principal, Request};

#[test]
fn by_default_clients_read_topics_and_what_is_their_own_and_send_nowhere() {
    let rules = Rules::default();
    let ann = Some("ann");
    for (destination, without_login, with_login) in [
        ("/topic/a", "ok", "ok"),
        ("/topic/>", "ok", "ok"),
        ("/user/queue/news", "login-required", "ok"),
        ("/user/>", "login-required", "ok"),
        ("/temp-queue/replies", "ok", "ok"),
        ("/queue/orders", "forbidden", "forbidden"),
        ("/queue/dead-letters", "forbidden", "forbidden"),
        ("/notes/john.doe", "forbidden", "forbidden"),
    ] {
        let subscribe = |name| code(&rules, Action::Subscribe, destination, name);
        assert_eq!(subscribe(None), without_login, "{destination}");
        assert_eq!(subscribe(ann), with_login, "{destination}");
        for name in [None, ann] {
            let send = code(&rules, Action::Send, destination, name);
            assert_eq!(send, "forbidden", "{destination}");
        }
    }
}

#[test]
fn open_rules_allow_everything_but_destinations_of_a_principal_without_one() {
    for action in BOTH {
        for destination in ["/topic/a.b", "/queue/dead-letters", "/temp-queue/replies"] {
            assert_eq!(code(&Rules::open(), action, destination, None), "ok");
        }
        let user = |name| code(&Rules::open(), action, "/user/news", name);
        assert_eq!(
            (&*user(None), &*user(Some("ann"))),
            ("login-required", "ok")
        );
    }
    assert_eq!(
        code(&Rules::open(), Action::Subscribe, "/topic/>", None),
        "ok"
    );
}

#[test]
fn an_answer_to_a_given_temporary_queue_is_always_allowed() {
    let public = "/temp-queue/~0123456789abcdef0123456789abcdef";
    let denied = Rules::new().send_and_subscribe("/temp-queue/>", Who::Nobody);
    for rules in [Rules::new(), Rules::default(), denied.clone()] {
        for name in [None, Some("ann")] {
            assert_eq!(code(&rules, Action::Send, public, name), "ok");
        }
        for local in [
            "/temp-queue/replies",
            "/topic/0123456789abcdef0123456789abcdef",
        ] {
            assert_eq!(code(&rules, Action::Send, local, None), "forbidden");
        }
    }
    assert_eq!(code(&denied, Action::Subscribe, public, None), "forbidden");
}

#[test]
fn the_first_rule_that_matches_decides_also_against_the_client() {
    let rules = Rules::new()
        .subscribe("/topic/admin.>", Who::principal("root"))
        .then(Rules::default());
    for destination in [
        "/topic/admin",
        "/topic/admin.a",
        "/topic/admin/a/b",
        "/topic/admin.>",
    ] {
        let subscribe = |name| code(&rules, Action::Subscribe, destination, name);
        assert_eq!(subscribe(Some("root")), "ok", "{destination}");
        assert_eq!(subscribe(Some("ann")), "forbidden", "{destination}");
        assert_eq!(subscribe(None), "login-required", "{destination}");
    }
    for pattern in [
        "/topic/>",
        "/topic/#",
        "/topic/*",
        "/topic/*.a",
        "/topic/*/a/#",
    ] {
        let subscribe = |name| code(&rules, Action::Subscribe, pattern, name);
        assert_eq!(subscribe(Some("root")), "ok", "{pattern}");
        assert_eq!(subscribe(Some("ann")), "forbidden", "{pattern}");
        assert_eq!(subscribe(None), "login-required", "{pattern}");
    }
    assert_eq!(
        code(&rules, Action::Subscribe, "/topic/public.*", None),
        "ok"
    );
}

#[test]
fn a_pattern_needs_one_rule_that_contains_it() {
    let rules = Rules::new()
        .subscribe("/topic/a.>", Who::Anybody)
        .subscribe("/topic/b.>", Who::Anybody)
        .subscribe("/topic/*.c", Who::Nobody)
        .subscribe("/topic/d.*", Who::Anybody);
    for (pattern, expected) in [
        ("/topic/a.*", "ok"),
        ("/topic/a.c", "ok"),
        ("/topic/>", "forbidden"),
        ("/topic/*.b", "forbidden"),
        ("/topic/d.b", "ok"),
        ("/topic/d.c", "forbidden"),
        ("/topic/d.*", "forbidden"),
    ] {
        let code = code(&rules, Action::Subscribe, pattern, None);
        assert_eq!(code, expected, "{pattern}");
    }
}

#[test]
fn each_kind_of_client_is_allowed_where_its_rule_says() {
    let (ok, login, no) = ("ok", "login-required", "forbidden");
    let clients = [
        None,
        Some(Principal::new("ann")),
        Some(Principal::new("bob")),
        Some(Principal::new("eve").with_role("night").with_role("staff")),
    ];
    let either = Who::principal("bob").or(Who::role("staff"));
    for (who, expected) in [
        (Who::Nobody, [no, no, no, no]),
        (Who::Anybody, [ok, ok, ok, ok]),
        (Who::Authenticated, [login, ok, ok, ok]),
        (Who::principal("ann"), [login, ok, no, no]),
        (Who::role("ann"), [login, no, no, no]),
        (Who::role("staff"), [login, no, no, ok]),
        (either, [login, no, ok, ok]),
        (Who::AnyOf(Vec::new()), [no, no, no, no]),
        (Who::when(|_, _| false), [login, no, no, no]),
    ] {
        let rules = Rules::new().send("/queue/orders.>", who.clone());
        let code = |client| code_of(check_as(&rules, Action::Send, "/queue/orders.eu", client));
        let codes = clients.each_ref().map(|client| code(client.as_ref()));
        assert_eq!(codes, expected, "{who:?}");
    }
}

#[test]
fn a_login_is_required_only_if_it_could_help() {
    let rules = Rules::new()
        .subscribe("/topic/{user}.>", Who::Authenticated)
        .subscribe("/topic/secret.>", Who::Nobody)
        .subscribe("/queue/{user}", Who::Nobody);
    for (destination, without_login, with_login) in [
        ("/topic/ann.a", "login-required", "ok"),
        ("/topic/bob.a", "login-required", "forbidden"),
        ("/topic/>", "login-required", "forbidden"),
        ("/queue/ann", "forbidden", "forbidden"),
        ("/user/ann", "forbidden", "forbidden"),
    ] {
        let subscribe = |name| code(&rules, Action::Subscribe, destination, name);
        assert_eq!(subscribe(None), without_login, "{destination}");
        assert_eq!(subscribe(Some("ann")), with_login, "{destination}");
    }
}

#[test]
fn a_predicate_sees_the_request_and_the_parsed_destination() {
    let rules = Rules::new().send_and_subscribe(
        "/topic/rooms.>",
        Who::when(|request, destination| {
            destination.segments().nth(2) == request.headers().get("room")
                && request.principal().is_some_and(|user| user.name() == "ann")
        }),
    );
    let request = Request::new(Frame::new(Command::Send).with_header("room", "blue"))
        .with_principal(Principal::new("ann"));
    for (destination, is_allowed) in [
        ("/topic/rooms.blue", true),
        ("/topic/rooms/blue", true),
        ("/topic/rooms.blue.>", true),
        ("/topic/rooms.red", false),
        ("/topic/rooms.*", false),
    ] {
        for action in BOTH {
            let answer = rules.check(action, &parse(destination), request.principal(), &request);
            assert_eq!(answer.is_ok(), is_allowed, "{destination}");
        }
    }
}

#[test]
fn a_predicate_is_not_asked_about_a_part_of_a_pattern() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let counts = Who::when(move |_, _| {
        counter.fetch_add(1, Ordering::Relaxed);
        true
    });
    let rules = Rules::new()
        .subscribe("/topic/a.>", counts)
        .subscribe("/topic/>", Who::Anybody);
    assert_eq!(
        code(&rules, Action::Subscribe, "/topic/>", Some("ann")),
        "forbidden"
    );
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    assert_eq!(code(&rules, Action::Subscribe, "/topic/a.*", None), "ok");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[test]
fn rules_with_an_invalid_pattern_refuse_everything() {
    let rules = Rules::new()
        .subscribe("/topic/secret..>", Who::Nobody)
        .then(Rules::open());
    for action in BOTH {
        assert_eq!(code(&rules, action, "/topic/a", Some("ann")), "forbidden");
    }
}

#[test]
fn a_destination_of_another_syntax_is_refused_if_the_broker_reads_it_differently() {
    let request = Request::new(Frame::new(Command::Subscribe));
    let other = DestinationSyntax::default();
    for (destination, expected) in [
        ("/topic/a/b", Ok(&())),
        ("/topic/a.b", Err("bad-destination")),
        ("/topic/>", Err("bad-destination")),
        ("/topic/a/#", Err("bad-destination")),
        ("/topic/*/b", Err("bad-destination")),
        ("/topic/a//b", Err("bad-destination")),
        ("/queue/a/", Err("bad-destination")),
        ("/notes/a.b", Err("forbidden")),
    ] {
        let parsed = other.parse(destination).unwrap();
        let answer = Rules::open().check(Action::Subscribe, &parsed, None, &request);
        assert_eq!(
            answer.as_ref().map_err(ClientError::code),
            expected,
            "{destination}"
        );
    }
}

#[test]
fn a_pattern_below_a_longer_prefix_of_another_syntax_is_refused() {
    // The engine would deliver `/topic/a` to a subscription to `/topic/a/>`, and all topics to one to `/topic/*/>`.
    let rules = Rules::new()
        .subscribe("/topic/a", Who::Nobody)
        .subscribe("/topic/>", Who::Anybody);
    let request = Request::new(Frame::new(Command::Subscribe));
    for (prefix, pattern) in [("/topic/a/", "/topic/a/>"), ("/topic/*/", "/topic/*/>")] {
        let patterns = PrefixSyntax::dotted().with_patterns();
        let other = destination_syntax().with_prefix(prefix, patterns);
        let parsed = other.parse(pattern).unwrap();
        let error = rules
            .check(Action::Subscribe, &parsed, None, &request)
            .unwrap_err();
        assert_eq!(error.code(), "bad-destination", "{pattern}");
    }
}

#[test]
fn a_refusal_names_the_destination_as_the_client_wrote_it() {
    let rules = Rules::default().send("/queue/orders", Who::Authenticated);
    let text = |action, destination: &str| {
        let error = check(&rules, action, destination, None).unwrap_err();
        error.to_string()
    };
    for (action, destination, expected) in [
        (
            Action::Send,
            "/topic/a.b",
            r#"forbidden: This client may not send to "/topic/a.b"."#,
        ),
        (
            Action::Subscribe,
            "/queue/\"a\"",
            r#"forbidden: This client may not subscribe to "/queue/\"a\""."#,
        ),
        (
            Action::Send,
            "/topic/a.#",
            r##"forbidden: The pattern "/topic/a.#" covers destinations to which this client may not send."##,
        ),
        (
            Action::Send,
            "/queue/orders",
            r#"login-required: This client must log in to send to "/queue/orders"."#,
        ),
        (
            Action::Subscribe,
            "/user/>",
            r#"login-required: This client must log in to subscribe to "/user/>"."#,
        ),
    ] {
        assert_eq!(text(action, destination), expected);
    }
    let start = format!("/queue/{}", "ä".repeat(73));
    assert_eq!(
        text(Action::Subscribe, &format!("{start}ä")),
        format!("forbidden: This client may not subscribe to \"{start}…\".")
    );
}

#[test]
fn a_decision_that_allows_makes_no_allocation() {
    let rules = Rules::new()
        .subscribe("/topic/public.>", Who::Anybody)
        .subscribe(
            "/topic/users.{user}.>",
            Who::role("staff").or(Who::Authenticated),
        );
    let request = Request::new(Frame::new(Command::Subscribe));
    let ann = Principal::new("ann");
    for destination in ["/topic/users/ann/mail", "/topic/users.ann.*"].map(parse) {
        // The first decision of the process creates the broker's syntax.
        let first = rules.check(Action::Subscribe, &destination, Some(&ann), &request);
        assert_eq!(first, Ok(()));
        let counted = allocation_counter::measure(|| {
            let answer = rules.check(Action::Subscribe, &destination, Some(&ann), &request);
            assert_eq!(answer, Ok(()));
        });
        assert_eq!(counted.count_total, 0, "{destination}");
    }
}
