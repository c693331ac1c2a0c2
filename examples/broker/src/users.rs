//! The logins of the broker, and what they may do.

use crate::options::Options;
use std::{collections::HashMap, fs};
use webstomp::{
    BoxError, Principal,
    broker::{Rules, Who},
};

/// The roles of a user. A user may have several.
const ROLES: [&str; 4] = ["reader", "publisher", "worker", "admin"];

/// The passcodes and principals of all users, by login.
pub(crate) struct Users(HashMap<String, User>);

struct User {
    passcode: String,
    /// With the roles of the user. All sessions of the user share it.
    principal: Principal,
}

impl Users {
    /// Reads the users from the file, or takes the one of the command line, which is an admin.
    pub(crate) fn load(options: &Options) -> Result<Users, BoxError> {
        let Some(path) = &options.users else {
            let admin = User {
                passcode: options.passcode.clone(),
                principal: Principal::new(&*options.login).with_role("admin"),
            };
            return Ok(Users([(options.login.clone(), admin)].into()));
        };
        let text = fs::read_to_string(path);
        text.map_err(BoxError::from)
            .and_then(|text| Ok(Users::parse(&text)?))
            .map_err(|error| format!("The file {} cannot be used: {error}", path.display()).into())
    }

    /// Parses lines `LOGIN PASSCODE ROLE...`. Empty lines, and lines that begin with `#`, mean nothing.
    fn parse(text: &str) -> Result<Users, String> {
        let mut users = HashMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            let mut words = line.split_whitespace();
            let Some(login) = words.next().filter(|word| !word.starts_with('#')) else {
                continue;
            };
            // The line is not quoted, because it may contain a passcode.
            let passcode = words
                .next()
                .ok_or_else(|| format!("line {number} has no passcode"))?;
            let mut principal = Principal::new(login);
            for role in words {
                if !ROLES.contains(&role) {
                    return Err(format!(
                        "line {number} has the role {role:?}; roles are {}",
                        ROLES.join(", ")
                    ));
                }
                principal = principal.with_role(role);
            }
            let user = User {
                passcode: passcode.to_owned(),
                principal,
            };
            if users.insert(login.to_owned(), user).is_some() {
                return Err(format!("line {number} repeats the login {login:?}"));
            }
        }
        Ok(Users(users))
    }

    /// Returns the principal with this login and passcode.
    pub(crate) fn log_in(&self, login: &str, passcode: &str) -> Option<Principal> {
        let user = self.0.get(login).filter(|user| user.passcode == passcode)?;
        Some(user.principal.clone())
    }
}

/// The rules by role. A user without a role may only use the `/user/` destinations and the temporary queues of its own.
///
/// | role | may |
/// |---|---|
/// | `reader` | subscribe to topics |
/// | `publisher` | send to topics and queues |
/// | `worker` | send to queues, and consume them, except dead letters |
/// | `admin` | send and subscribe everywhere, and see the overview |
pub(crate) fn rules() -> Rules {
    let or_admin = |role: &str| Who::role(role).or(Who::role("admin"));
    Rules::new()
        .subscribe("/topic/>", or_admin("reader"))
        .send("/topic/>", or_admin("publisher"))
        // Dead letters may come from any client. The rules for all queues cover them too.
        .send_and_subscribe("/queue/dead-letters", Who::role("admin"))
        .subscribe("/queue/>", or_admin("worker"))
        .send("/queue/>", or_admin("worker").or(Who::role("publisher")))
        .send("/user/>", Who::role("admin"))
        .send_and_subscribe("/temp-queue/>", Who::Authenticated)
        .subscribe("/user/>", Who::Authenticated)
}

#[cfg(test)]
mod tests {
    use super::*;
    use webstomp::{
        Request,
        broker::{Action, destination_syntax},
        frame::{Command, Frame},
    };

    const FILE: &str = "# the staff\n\nann secret admin\nbob  hunter2  reader\tpublisher\ncat x\n";

    #[test]
    fn users_of_a_file_have_their_roles() {
        let users = Users::parse(FILE).unwrap();
        let bob = users.log_in("bob", "hunter2").unwrap();
        assert!(bob.has_role("reader") && bob.has_role("publisher") && !bob.has_role("admin"));
        assert!(users.log_in("cat", "x").is_some());
        assert!(users.log_in("bob", "secret").is_none());
        assert!(users.log_in("#", "the").is_none());
    }

    #[test]
    fn a_mistake_in_the_file_is_reported_with_its_line_and_without_a_passcode() {
        for (text, expected) in [
            ("ann", "line 1 has no passcode"),
            (
                "\nann S3CR3T boss",
                "line 2 has the role \"boss\"; roles are reader, publisher, worker, admin",
            ),
            ("ann S3CR3T\nann S3CR3T", "line 2 repeats the login \"ann\""),
        ] {
            assert_eq!(Users::parse(text).err().unwrap(), expected);
        }
    }

    #[test]
    fn an_admin_may_use_everything_and_a_client_without_a_login_nothing() {
        assert_eq!(rules().validate(), Ok(()));
        let request = Request::new(Frame::new(Command::Subscribe));
        let admin = Principal::new("guest").with_role("admin");
        for destination in [
            "/topic/a",
            "/topic/>",
            "/queue/a",
            "/queue/dead-letters",
            "/temp-queue/replies",
            "/user/a",
        ] {
            let parsed = destination_syntax().parse(destination).unwrap();
            for action in [Action::Send, Action::Subscribe] {
                let check = |client| rules().check(action, &parsed, client, &request);
                assert_eq!(check(Some(&admin)), Ok(()), "{destination}");
                let code = check(None).unwrap_err();
                assert_eq!(code.code(), "login-required", "{destination}");
            }
        }
    }
}
