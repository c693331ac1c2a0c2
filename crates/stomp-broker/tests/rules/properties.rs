//! Properties of all lists of rules: no spelling and no pattern reaches a destination that its plain name is refused.
//!
//! The expected decisions come from definitions that compare single segments, or sets of literal destinations.

use crate::parse;
use stomp_broker::{Action, Rules, Who};
use stomp_frame::{Command, Frame};
use stomp_session::{Destination, Principal, Request};
use stomp_testing::{Rng, seeded};

/// The path of a destination or pattern, including the name of its prefix.
type Path = Vec<&'static str>;

/// True if the pattern of a rule or a client matches a literal path. `user` replaces `{user}`.
fn matches(pattern: &[&str], literal: &[&str], user: Option<&str>) -> bool {
    // All destinations have a segment below their prefix.
    literal.len() > 1 && rest_matches(pattern, literal, user)
}

fn rest_matches(pattern: &[&str], literal: &[&str], user: Option<&str>) -> bool {
    match (pattern, literal) {
        ([">"], _) | ([], []) => true,
        ([one, pattern @ ..], [other, literal @ ..]) => {
            let is_match = match *one {
                "*" => true,
                "{user}" => user == Some(other),
                one => one == *other,
            };
            is_match && rest_matches(pattern, literal, user)
        }
        _ => false,
    }
}

/// The plain spelling.
fn plain(path: &[&str]) -> String {
    format!("/{}", path.join("/"))
}

/// A random one of all spellings.
fn spelling(rng: &mut Rng, path: &[&str]) -> String {
    let mut text = String::new();
    for (at, segment) in path.iter().enumerate() {
        // The first two separators belong to the prefix.
        text.push(if at < 2 || rng.bool() { '/' } else { '.' });
        text.push_str(if *segment == ">" && rng.bool() {
            "#"
        } else {
            segment
        });
    }
    text
}

/// The clients of a rule, of which the test knows by itself whom they include.
#[derive(Debug, Clone)]
enum Clients {
    Nobody,
    Anybody,
    Authenticated,
    Named(&'static str),
    /// All clients below this pattern, by a predicate.
    Below(Path),
    NamedOrBelow(&'static str, Path),
}

impl Clients {
    fn who(&self) -> Who {
        let below = |path: &Path| {
            let area = parse(&plain(path));
            Who::when(move |_, destination| area.contains(destination))
        };
        match self {
            Clients::Nobody => Who::Nobody,
            Clients::Anybody => Who::Anybody,
            Clients::Authenticated => Who::Authenticated,
            Clients::Named(name) => Who::principal(*name),
            Clients::Below(path) => below(path),
            Clients::NamedOrBelow(name, path) => Who::principal(*name).or(below(path)),
        }
    }

    fn include(&self, user: Option<&str>, literal: &[&str]) -> bool {
        match self {
            Clients::Nobody => false,
            Clients::Anybody => true,
            Clients::Authenticated => user.is_some(),
            Clients::Named(name) => user == Some(name),
            Clients::Below(path) => matches(path, literal, None),
            Clients::NamedOrBelow(name, path) => user == Some(name) || matches(path, literal, None),
        }
    }

    fn random(rng: &mut Rng) -> Clients {
        let named = pick(rng, &["a", "b"]);
        let below = random_path(rng, "topic", &["a", "b", "*", ">"]);
        match rng.u8(..9) {
            0..2 => Clients::Nobody,
            2..5 => Clients::Anybody,
            5 => Clients::Authenticated,
            6 => Clients::Named(named),
            7 => Clients::Below(below),
            _ => Clients::NamedOrBelow(named, below),
        }
    }
}

/// A list of rules, and the same list as the test understands it.
#[derive(Debug)]
struct Case {
    rules: Rules,
    list: Vec<(Action, Path, Clients)>,
}

impl Case {
    fn random(rng: &mut Rng) -> Case {
        let mut case = Case {
            rules: Rules::new(),
            list: Vec::new(),
        };
        for _ in 0..rng.usize(1..=5) {
            let scope = random_scope(rng);
            let path = random_path(rng, scope, &["a", "b", "*", "{user}", ">"]);
            let clients = Clients::random(rng);
            let text = spelling(rng, &path);
            if rng.bool() {
                case.rules = case.rules.subscribe(&text, clients.who());
                case.list.push((Action::Subscribe, path, clients));
            } else {
                case.rules = case.rules.send(&text, clients.who());
                case.list.push((Action::Send, path, clients));
            }
        }
        case
    }

    /// The decision of the first rule that matches.
    fn allows(&self, action: Action, literal: &[&str], user: Option<&str>) -> bool {
        let first = self
            .list
            .iter()
            .find(|(of, pattern, _)| *of == action && matches(pattern, literal, user));
        first.is_some_and(|(_, _, clients)| clients.include(user, literal))
    }
}

fn pick(rng: &mut Rng, from: &[&'static str]) -> &'static str {
    from[rng.usize(..from.len())]
}

/// Topics are most frequent, since only they and the destinations of users have patterns of clients.
fn random_scope(rng: &mut Rng) -> &'static str {
    pick(
        rng,
        &[
            "topic",
            "topic",
            "topic",
            "topic",
            "user",
            "queue",
            "temp-queue",
        ],
    )
}

/// A path of one to three segments below a prefix. `>` is used only as its last segment.
fn random_path(rng: &mut Rng, scope: &'static str, segments: &[&'static str]) -> Path {
    let mut path = vec![scope];
    for _ in 0..rng.usize(1..=3) {
        let segment = pick(rng, segments);
        path.push(segment);
        if segment == ">" {
            break;
        }
    }
    path
}

/// A random literal that the pattern of a client matches.
fn random_match(rng: &mut Rng, pattern: &[&'static str]) -> Path {
    let mut literal = Path::new();
    for (at, segment) in pattern.iter().enumerate() {
        match *segment {
            "*" => literal.push(pick(rng, &["a", "b", "c"])),
            ">" => {
                for _ in 0..rng.usize(usize::from(at == 1)..=2) {
                    literal.push(pick(rng, &["a", "b", "c"]));
                }
            }
            segment => literal.push(segment),
        }
    }
    literal
}

#[test]
fn no_spelling_and_no_pattern_reaches_what_its_plain_name_is_refused() {
    const LISTS: usize = 12_000;
    const DESTINATIONS: usize = 10;
    let names = ["a", "b", "c", "*", ">", "#", "a.b", "a/b", "{user}", ""];
    let request = Request::new(Frame::new(Command::Send));
    let mut rng = seeded(14);
    let (mut allowed, mut refused) = (0, 0);
    for _ in 0..LISTS {
        let case = Case::random(&mut rng);
        let user = rng.bool().then(|| pick(&mut rng, &names));
        let principal = user.map(Principal::new);
        for _ in 0..DESTINATIONS {
            let scope = random_scope(&mut rng);
            let segments: &[_] = match scope {
                "topic" | "user" => &["a", "b", "c", "*", ">"],
                _ => &["a", "b", "c"],
            };
            let pattern = random_path(&mut rng, scope, segments);
            let literal = random_match(&mut rng, &pattern);
            assert!(matches(&pattern, &literal, None));
            let spelled = parse(&spelling(&mut rng, &literal));
            let spelled_pattern = parse(&spelling(&mut rng, &pattern));
            for action in crate::BOTH {
                let check = |destination: &Destination| {
                    let answer =
                        case.rules
                            .check(action, destination, principal.as_ref(), &request);
                    answer.is_ok()
                };
                let expected = case.allows(action, &literal, user);
                let context = (&case.list, action, user, &spelled, &spelled_pattern);
                assert_eq!(check(&parse(&plain(&literal))), expected, "{context:?}");
                assert_eq!(check(&spelled), expected, "{context:?}");
                let is_allowed = check(&spelled_pattern);
                assert_eq!(check(&parse(&plain(&pattern))), is_allowed, "{context:?}");
                assert!(expected || !is_allowed, "{context:?}");
                if spelled_pattern.is_pattern() {
                    allowed += usize::from(is_allowed);
                    refused += usize::from(!expected);
                }
            }
        }
    }
    // Each answer is frequent enough to find a wrong one.
    assert!(allowed > 5_000 && refused > 50_000, "{allowed} {refused}");
}

/// All paths of `min` to `max` segments below `/topic/`.
fn sequences(segments: &[&'static str], min: usize, max: usize) -> Vec<Path> {
    let mut all = Vec::new();
    let mut longest = vec![vec!["topic"]];
    for length in 0..=max {
        if length >= min {
            all.extend(longest.iter().cloned());
        }
        longest = longest
            .iter()
            .flat_map(|start| segments.iter().map(|end| [&start[..], &[*end]].concat()))
            .collect();
    }
    all
}

/// All patterns of at most `max` segments, of which the last may be `>`.
fn patterns(segments: &[&'static str], max: usize) -> Vec<Path> {
    let open = sequences(segments, 0, max - 1);
    let open = open.iter().map(|start| [&start[..], &[">"]].concat());
    sequences(segments, 1, max)
        .into_iter()
        .chain(open)
        .collect()
}

/// A rule as a set of literals, by bits.
struct Set {
    matched: u64,
    /// The literals that its clients may reach. A rule decides about a whole pattern at once, so that this is all, none,
    /// or the part that a predicate allows.
    allowed: u64,
    is_predicate: bool,
}

/// The decision about a set of literals by a list of rules.
fn allows(list: &[&Set], asked: u64) -> bool {
    for rule in list.iter().filter(|rule| rule.matched & asked != 0) {
        let is_whole = asked & !rule.matched == 0;
        let is_included = asked & !rule.allowed == 0 && (is_whole || !rule.is_predicate);
        if !is_included || is_whole {
            return is_included;
        }
    }
    false
}

/// All lists of two rules with short patterns, all patterns of clients of up to three segments, with and without a
/// principal. The literals have one segment more than the patterns, which tells a final `*` from `>`.
#[test]
fn a_pattern_is_allowed_only_if_all_literals_that_it_matches_are() {
    let literals = sequences(&["a", "b"], 1, 4);
    let set = |pattern: &[&str], user| -> u64 {
        let bits = literals.iter().enumerate();
        bits.map(|(at, literal)| u64::from(matches(pattern, literal, user)) << at)
            .sum()
    };
    let asked: Vec<_> = patterns(&["a", "b", "*"], 3)
        .into_iter()
        .map(|pattern| (parse(&plain(&pattern)), set(&pattern, None)))
        .collect();
    let request = Request::new(Frame::new(Command::Subscribe));
    let below = vec!["topic", "a", ">"];
    let kinds = [
        Clients::Anybody,
        Clients::Nobody,
        Clients::Below(below.clone()),
    ];
    for user in [Some("a"), None] {
        let principal = user.map(Principal::new);
        let mut rules = Vec::new();
        for pattern in patterns(&["a", "*", "{user}"], 2) {
            for clients in &kinds {
                let matched = set(&pattern, user);
                let allowed = match clients {
                    Clients::Anybody => u64::MAX,
                    Clients::Below(_) => set(&below, None),
                    _ => 0,
                };
                let is_predicate = matches!(clients, Clients::Below(_));
                let rule = Rules::new().subscribe(&plain(&pattern), clients.who());
                rules.push((
                    rule,
                    Set {
                        matched,
                        allowed,
                        is_predicate,
                    },
                ));
            }
        }
        for (first, first_set) in &rules {
            for (second, second_set) in &rules {
                let list = first.clone().then(second.clone());
                let sets = [first_set, second_set];
                let allowed_literals: u64 = (0..literals.len())
                    .map(|at| u64::from(allows(&sets, 1 << at)) << at)
                    .sum();
                for (destination, matched) in &asked {
                    let answer =
                        list.check(Action::Subscribe, destination, principal.as_ref(), &request);
                    let context = (&list, user, destination);
                    assert_eq!(answer.is_ok(), allows(&sets, *matched), "{context:?}");
                    let is_safe = matched & !allowed_literals == 0;
                    assert!(answer.is_err() || is_safe, "{context:?}");
                }
            }
        }
    }
}
