//! Properties of all destinations, syntaxes and patterns.

use bytestring::ByteString;
use proptest::{collection::vec, prelude::*, sample::select};
use stomp_session::{Destination, DestinationSyntax, PrefixSyntax};

/// The syntax of a broker.
fn broker() -> DestinationSyntax {
    DestinationSyntax::default()
        .with_prefix("/topic/", PrefixSyntax::dotted().with_patterns())
        .with_prefix("/queue/", PrefixSyntax::dotted())
}

/// The texts of all sequences of `min` to `max` of these segments.
fn sequences(segments: &[&str], min: usize, max: usize) -> Vec<String> {
    let mut all = Vec::new();
    let mut longest = vec![String::new()];
    for length in 0..=max {
        if length >= min {
            all.extend(longest.iter().cloned());
        }
        longest = longest
            .iter()
            .flat_map(|start| segments.iter().map(move |end| format!("{start}/{end}")))
            .collect();
    }
    all
}

/// The definition of a match, by recursion. `is_top` is true directly after the prefix.
fn matches(pattern: &[&str], literal: &[&str], is_top: bool) -> bool {
    match (pattern, literal) {
        ([">"], _) => !is_top || !literal.is_empty(),
        (["*", pattern @ ..], [_, literal @ ..]) => matches(pattern, literal, false),
        ([one, pattern @ ..], [other, literal @ ..]) => {
            one == other && matches(pattern, literal, false)
        }
        (pattern, literal) => pattern.is_empty() && literal.is_empty(),
    }
}

/// The set of the literals which a pattern matches, as bits.
fn matched(pattern: &str, literals: &[String]) -> u64 {
    let split = |path: &'_ str| {
        path.split('/')
            .skip(1)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let pattern = split(pattern);
    let pattern: Vec<_> = pattern.iter().map(String::as_str).collect();
    let bits = literals.iter().enumerate().map(|(at, literal)| {
        let literal = split(literal);
        let literal: Vec<_> = literal.iter().map(String::as_str).collect();
        u64::from(matches(&pattern, &literal, true)) << at
    });
    bits.sum()
}

/// The literals have one segment more than the patterns, which tells a final `*` from `>`.
#[test]
fn containment_and_overlap_agree_with_the_sets_of_matched_literals() {
    let literals = sequences(&["a", "b"], 1, 5);
    assert!(literals.len() < 64);
    let mut patterns = sequences(&["a", "b", "*"], 1, 4);
    patterns.extend(
        sequences(&["a", "b", "*"], 0, 3)
            .iter()
            .map(|start| format!("{start}/>")),
    );
    assert_eq!(patterns.len(), 160);
    let syntax = broker();
    let parsed: Vec<_> = patterns
        .iter()
        .map(|path| {
            let destination = syntax.parse(format!("/topic{path}")).unwrap();
            (destination, matched(path, &literals))
        })
        .collect();
    for (one, matched_by_one) in &parsed {
        for (other, matched_by_other) in &parsed {
            assert_eq!(
                one.contains(other),
                matched_by_other & !matched_by_one == 0,
                "{one} contains {other}"
            );
            assert_eq!(
                one.may_match(other),
                matched_by_one & matched_by_other != 0,
                "{one} may match {other}"
            );
        }
    }
}

#[test]
fn a_canonical_literal_is_parsed_cloned_and_compared_with_one_allocation() {
    let syntax = broker();
    let texts = ["/topic/stocks/acme", "/queue/orders", "/notes/john.doe"];
    for text in texts.map(|text| ByteString::from(text.to_owned())) {
        let again = text.clone();
        let counted = allocation_counter::measure(|| {
            let parsed = syntax.parse(text).unwrap();
            let clone = parsed.clone();
            assert!(clone == parsed && clone.contains(&parsed) && parsed.may_match(&clone));
            assert_eq!(parsed.segments().count(), clone.segments().count());
            assert_eq!(ByteString::from(parsed), again);
        });
        assert_eq!(counted.count_total, 1, "{again:?}");
    }
}

#[test]
fn a_dotted_literal_is_parsed_with_two_allocations() {
    let syntax = broker();
    let text = ByteString::from("/topic/stocks.acme".to_owned());
    let counted = allocation_counter::measure(|| {
        assert_eq!(
            syntax.parse(text).unwrap().canonical(),
            "/topic/stocks/acme"
        );
    });
    assert_eq!(counted.count_total, 2);
}

proptest! {
    #[test]
    fn no_text_makes_parsing_or_comparing_panic(syntax in syntax(), one in hostile(), other in hostile()) {
        let one = syntax.parse(one);
        let other = syntax.parse(other);
        if let Err(invalid) = &one {
            let text = invalid.to_string();
            prop_assert!(!text.contains(char::is_control), "{text:?}");
            prop_assert!(text.chars().count() < 1_200, "{text:?}");
        }
        if let (Ok(one), Ok(other)) = (one, other) {
            prop_assert!(one.contains(&one) && one.may_match(&one));
            prop_assert_eq!(one.may_match(&other), other.may_match(&one));
            if one.contains(&other) {
                prop_assert!(one.may_match(&other));
            }
            if one == other {
                prop_assert!(one.contains(&other) && other.contains(&one));
                prop_assert_eq!(one.is_pattern(), other.is_pattern());
            }
            if !one.is_pattern() && !other.is_pattern() {
                prop_assert_eq!(one.contains(&other), one == other);
                prop_assert_eq!(one.may_match(&other), one == other);
            }
        }
    }

    #[test]
    fn a_canonical_text_is_its_own_canonical_text(syntax in syntax(), text in hostile()) {
        if let Ok(parsed) = syntax.parse(text) {
            let again = syntax.parse(parsed.canonical()).unwrap();
            prop_assert_eq!(again.canonical(), parsed.canonical());
            prop_assert_eq!(again.as_str(), parsed.canonical());
            prop_assert_eq!(again.is_pattern(), parsed.is_pattern());
            prop_assert!(again.contains(&parsed) && parsed.contains(&again));
        }
    }

    #[test]
    fn the_displayed_text_parses_to_the_same_destination(syntax in syntax(), text in hostile()) {
        if let Ok(parsed) = syntax.parse(text.as_str()) {
            prop_assert_eq!(parsed.to_string(), text);
            let again = syntax.parse(parsed.to_string()).unwrap();
            prop_assert_eq!(format!("{again:?}"), format!("{parsed:?}"));
        }
    }

    #[test]
    fn all_spellings_have_one_canonical_text(
        segments in vec(segment(), 1..6),
        dots in vec(any::<bool>(), 6),
        is_rest: bool,
        is_hash: bool,
    ) {
        let mut spelling = String::from("/topic");
        let mut plain = spelling.clone();
        for (segment, dot) in segments.iter().zip(&dots) {
            // The first separator belongs to the prefix.
            let is_first = plain == "/topic";
            spelling.push(if *dot && !is_first { '.' } else { '/' });
            spelling.push_str(segment);
            plain.push('/');
            plain.push_str(segment);
        }
        if is_rest {
            spelling.push_str(if is_hash { ".#" } else { "/>" });
            plain.push_str("/>");
        }
        let (spelled, plain) = (broker().parse(spelling).unwrap(), broker().parse(plain).unwrap());
        prop_assert_eq!(spelled.canonical(), plain.as_str());
        prop_assert_eq!(plain.canonical(), plain.as_str());
        prop_assert_eq!(&spelled, &plain);
        prop_assert_eq!(spelled.is_pattern(), plain.is_pattern());
        prop_assert_eq!(spelled.segments().count(), 1 + segments.len() + usize::from(is_rest));
    }

    #[test]
    fn different_segments_have_different_canonical_texts(one in vec(segment(), 1..5), other in vec(segment(), 1..5)) {
        let parse = |segments: &[String]| broker().parse(format!("/topic/{}", segments.join("."))).unwrap();
        prop_assert_eq!(parse(&one) == parse(&other), one == other);
    }

    #[test]
    fn destinations_from_segments_have_exactly_these_segments(
        syntax in syntax(),
        prefix in prefix(),
        segments in vec(prop_oneof![hostile(), segment()], 0..4),
    ) {
        let made = Destination::from_segments(prefix, &segments);
        let is_refused = |segment: &String| {
            segment.is_empty()
                || segment.contains(|c: char| c == '/' || c == '.' || c.is_control())
                || ["*", ">", "#"].contains(&segment.as_str())
        };
        prop_assert_eq!(made.is_err(), segments.is_empty() || segments.iter().any(is_refused));
        if let Ok(made) = made {
            let parts = prefix.split('/').filter(|part| !part.is_empty());
            prop_assert!(made.segments().eq(parts.chain(segments.iter().map(String::as_str))));
            prop_assert!(!made.is_pattern());
            prop_assert_eq!(made.as_str(), made.canonical());
            let parsed = syntax.parse(made.as_str()).unwrap();
            prop_assert_eq!(format!("{parsed:?}"), format!("{made:?}"));
        }
    }

    #[test]
    fn a_pattern_covers_no_destination_that_only_another_spelling_would_avoid(pattern in hostile(), text in hostile()) {
        let syntax = broker();
        if let (Ok(pattern), Ok(spelled)) = (syntax.parse(pattern), syntax.parse(text)) {
            let plain = syntax.parse(spelled.canonical()).unwrap();
            prop_assert_eq!(pattern.contains(&spelled), pattern.contains(&plain));
            prop_assert_eq!(pattern.may_match(&spelled), pattern.may_match(&plain));
        }
    }
}

/// Text of the pieces that mean something in a destination, spellings below nested prefixes, or any text.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = vec![
        "/", ".", "*", ">", "#", "a", "b", "/topic/", "/queue/", "/a/", "\n", "ä", "%2F", "%2E",
    ];
    prop_oneof![
        4 => vec(select(pieces.clone()), 0..8).prop_map(|pieces| pieces.concat()),
        4 => (prefix(), vec(select(pieces), 0..6)).prop_map(|(prefix, pieces)| format!("{prefix}{}", pieces.concat())),
        1 => any::<String>(),
        4 => "/a/[ab]([./][ab*>#]){1,3}",
        1 => "[ab]{1,200}",
    ]
}

/// A segment that is not a wildcard for the rest, and has no separator.
fn segment() -> impl Strategy<Value = String> {
    prop_oneof![Just("*".to_owned()), "[ab%*#>-]{2,4}", "[abä]{1,2}",]
}

fn prefix() -> impl Strategy<Value = &'static str> {
    select(vec!["/topic/", "/queue/", "/a/", "/a/b/", "/a/b/a/", "/"])
}

/// Prefixes that may be below one another, each with any syntax.
///
/// Half of them have a dotted prefix with patterns above another prefix: there, one spelling is below the longer prefix
/// and another is not.
fn syntax() -> impl Strategy<Value = DestinationSyntax> {
    let any = vec((prefix(), prefix_syntax()), 0..6);
    let nested = prefix_syntax().prop_map(|inner| {
        let outer = PrefixSyntax::dotted().with_patterns();
        vec![("/a/", outer), ("/a/b/", inner)]
    });
    prop_oneof![any, nested].prop_map(|prefixes| {
        let prefixes = prefixes.into_iter();
        prefixes.fold(DestinationSyntax::default(), |all, (prefix, syntax)| {
            all.with_prefix(prefix, syntax)
        })
    })
}

fn prefix_syntax() -> impl Strategy<Value = PrefixSyntax> {
    let (slash, dotted) = (PrefixSyntax::default(), PrefixSyntax::dotted());
    select(vec![
        slash,
        dotted,
        slash.with_patterns(),
        dotted.with_patterns(),
    ])
}
