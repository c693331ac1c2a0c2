//! Checks that a `heart-beat` parses only if it is two numbers separated by a comma, and that its text parses to the
//! same value.

use stomp_frame::HeartBeat;

use super::choices::Choices;

/// Checks the value of a `heart-beat` header.
pub fn check(input: &[u8]) {
    let text = Choices::new(input).text();
    let parsed = text.parse::<HeartBeat>().ok();
    assert_eq!(parsed, expected(&text), "{text:?}");
    if let Some(heart_beat) = parsed {
        assert_eq!(heart_beat.to_string().parse(), Ok(heart_beat), "{text:?}");
    }
}

fn expected(text: &str) -> Option<HeartBeat> {
    let mut runs = text.split(',').map(|run| {
        let run = run.trim_matches(' ');
        let is_number = !run.is_empty() && run.bytes().all(|byte| byte.is_ascii_digit());
        // For digits, overflow is the only possible error.
        is_number.then(|| run.parse().unwrap_or(u32::MAX))
    });
    let heart_beat = HeartBeat {
        send: runs.next()??,
        receive: runs.next()??,
    };
    runs.next().is_none().then_some(heart_beat)
}
