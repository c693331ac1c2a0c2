//! The command line.

use std::env;

const USAGE: &str =
    "usage: broker [--ws ADDR] [--tcp ADDR] [--login NAME --passcode SECRET] [--max-frame BYTES]";

#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Where WebSockets and the page are.
    pub(crate) ws: String,
    /// Where STOMP over TCP is.
    pub(crate) tcp: String,
    /// Who may come in.
    pub(crate) login: String,
    pub(crate) passcode: String,
    /// The longest frame, in bytes.
    pub(crate) max_frame: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            ws: "127.0.0.1:15674".to_owned(),
            tcp: "127.0.0.1:61613".to_owned(),
            login: "guest".to_owned(),
            passcode: "guest".to_owned(),
            max_frame: 8 << 20,
        }
    }
}

impl Options {
    pub(crate) fn from_command_line() -> Result<Options, &'static str> {
        Options::read(env::args().skip(1)).ok_or(USAGE)
    }

    fn read(mut arguments: impl Iterator<Item = String>) -> Option<Options> {
        let mut options = Options::default();
        let (mut login, mut passcode) = (None, None);
        while let Some(flag) = arguments.next() {
            let value = arguments.next()?;
            match flag.as_str() {
                "--ws" => options.ws = value,
                "--tcp" => options.tcp = value,
                "--login" => login = Some(value),
                "--passcode" => passcode = Some(value),
                "--max-frame" => options.max_frame = value.parse().ok()?,
                _ => return None,
            }
        }
        match (login, passcode) {
            (None, None) => Some(options),
            // One of them alone would be somebody else's half.
            (login, passcode) => Some(Options {
                login: login?,
                passcode: passcode?,
                ..options
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<Options> {
        Options::read(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn flags_replace_defaults() {
        let options =
            read("--tcp [::1]:0 --max-frame 65536 --passcode secret --login ann").unwrap();
        assert_eq!(
            (options.ws.as_str(), options.tcp.as_str()),
            ("127.0.0.1:15674", "[::1]:0")
        );
        assert_eq!(
            (options.login.as_str(), options.passcode.as_str()),
            ("ann", "secret")
        );
        assert_eq!(options.max_frame, 65_536);
        assert_eq!(read("").unwrap().passcode, "guest");
    }

    #[test]
    fn what_is_not_understood_is_not_guessed() {
        for line in [
            "--ws",
            "--wss 127.0.0.1:0",
            "--max-frame many",
            "--login ann",
            "--passcode secret",
            "127.0.0.1:0",
        ] {
            assert!(read(line).is_none(), "{line}");
        }
    }
}
