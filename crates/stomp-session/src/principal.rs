//! The identity of an authenticated peer.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{
    any::Any,
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

/// Identity of a peer that has logged in: a name, roles, and a value of the application.
///
/// The connect handler returns the principal, and the session keeps it until its end. Clones share one allocation.
///
/// ```
/// use stomp_session::Principal;
///
/// struct Account {
///     tenant: u64,
/// }
///
/// let ann = Principal::new("ann")
///     .with_role("staff")
///     .with_value(Account { tenant: 7 });
///
/// assert!(ann.has_role("staff"));
/// assert_eq!(ann.value::<Account>().map(|account| account.tenant), Some(7));
/// assert_eq!(ann, Principal::new("ann"), "the name alone identifies a principal");
/// ```
///
/// `Eq`, `Ord` and `Hash` use the name alone. With serde, a principal is serialized as its name, a string. Roles and
/// value are omitted, so a deserialized principal has none. `Debug` shows the name and the roles, but not the value.
#[derive(Clone)]
pub struct Principal(Arc<Identity>);

#[derive(Clone)]
struct Identity {
    name: Arc<str>,
    /// Roles without duplicates, in the order in which they were added.
    roles: Vec<Box<str>>,
    value: Option<Arc<dyn Any + Send + Sync>>,
}

impl Principal {
    /// Creates a principal with this name, without roles and without a value.
    pub fn new(name: impl Into<Arc<str>>) -> Principal {
        Principal(Arc::new(Identity {
            name: name.into(),
            roles: Vec::new(),
            value: None,
        }))
    }

    /// Adds a role, unless the principal has it already. Clones that were made before do not change.
    #[must_use]
    pub fn with_role(mut self, role: impl Into<Box<str>>) -> Principal {
        let role = role.into();
        if !self.has_role(&role) {
            Arc::make_mut(&mut self.0).roles.push(role);
        }
        self
    }

    /// Sets the value of the application, such as an account or the claims of a token. It replaces the value that was
    /// set before, also one of another type. Clones that were made before do not change.
    #[must_use]
    pub fn with_value<T: Any + Send + Sync>(mut self, value: T) -> Principal {
        Arc::make_mut(&mut self.0).value = Some(Arc::new(value));
        self
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Returns true if the principal has this role. Roles are compared literally.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.roles().any(|known| known == role)
    }

    /// The roles, in the order in which they were added.
    pub fn roles(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.roles.iter().map(|role| &**role)
    }

    /// Returns the principal with its name alone, without roles and without a value.
    ///
    /// A registry that keeps principals stores this one. So it keeps no value of the application alive, and runs no
    /// destructor of such a value.
    #[must_use]
    pub fn name_only(&self) -> Principal {
        if self.0.roles.is_empty() && self.0.value.is_none() {
            return self.clone();
        }
        Principal::new(Arc::clone(&self.0.name))
    }

    /// The value of the application, if there is one and it has this type.
    #[must_use]
    pub fn value<T: Any>(&self) -> Option<&T> {
        self.0.value.as_deref()?.downcast_ref()
    }
}

impl PartialEq for Principal {
    fn eq(&self, other: &Principal) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Principal {}

impl PartialOrd for Principal {
    fn partial_cmp(&self, other: &Principal) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Principal {
    fn cmp(&self, other: &Principal) -> Ordering {
        self.name().cmp(other.name())
    }
}

impl Hash for Principal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

/// Writes the name.
impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Omits the value, which may be secret.
impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal")
            .field("name", &self.name())
            .field("roles", &self.0.roles)
            .finish_non_exhaustive()
    }
}

impl AsRef<str> for Principal {
    fn as_ref(&self) -> &str {
        self.name()
    }
}

impl From<&str> for Principal {
    fn from(name: &str) -> Principal {
        Principal::new(name)
    }
}

impl From<String> for Principal {
    fn from(name: String) -> Principal {
        Principal::new(name)
    }
}

impl Serialize for Principal {
    /// Writes the name as a string.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Principal {
    /// Reads the name from a string.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Principal, D::Error> {
        String::deserialize(deserializer).map(Principal::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeSet, HashSet};

    #[test]
    fn principals_convert_from_and_to_their_names() {
        let ann = Principal::new("ann");
        assert_eq!(Principal::from("ann"), ann);
        assert_eq!(Principal::from("ann".to_owned()), ann);
        assert_eq!(ann.as_ref(), "ann");
        assert_eq!(ann.to_string(), ann.name());
    }

    #[test]
    fn principals_round_trip_through_json_as_strings() {
        let name = Principal::new("ann \"x\" \u{e9}").with_role("staff");
        let json = serde_json::to_string(&name).unwrap();
        assert_eq!(json, "\"ann \\\"x\\\" \u{e9}\"");
        let read = serde_json::from_str::<Principal>(&json).unwrap();
        assert_eq!(read, name);
        assert!(!read.has_role("staff"));
    }

    #[test]
    fn the_name_alone_identifies_a_principal() {
        let all = [
            Principal::new("ann"),
            Principal::new("ann").with_role("staff"),
            Principal::new("ann").with_value(1_u8),
        ];
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), 1);
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 1);
        assert!(Principal::new("ann").with_role("z") < Principal::new("bob").with_role("a"));
    }

    #[test]
    fn roles_are_kept_once_and_in_order() {
        let ann = Principal::new("ann")
            .with_role("staff")
            .with_role("admin".to_owned())
            .with_role("staff");
        assert!(ann.roles().eq(["staff", "admin"]));
        assert!(ann.has_role("admin"));
        assert!(!ann.has_role("Admin"));
    }

    #[test]
    fn the_value_is_found_by_its_type() {
        let ann = Principal::new("ann").with_value("secret").with_value(7_u64);
        assert_eq!(ann.value::<u64>(), Some(&7));
        assert_eq!(ann.value::<&str>(), None);
        assert_eq!(Principal::new("ann").value::<u64>(), None);
    }

    #[test]
    fn changes_do_not_affect_earlier_clones() {
        let ann = Principal::new("ann").with_role("staff").with_value(1_u8);
        let changed = ann.clone().with_role("admin").with_value(2_u8);
        assert!(ann.roles().eq(["staff"]));
        assert_eq!(ann.value::<u8>(), Some(&1));
        assert!(changed.roles().eq(["staff", "admin"]));
        assert_eq!(changed.value::<u8>(), Some(&2));
    }

    #[test]
    fn debug_shows_the_name_and_the_roles_but_not_the_value() {
        let ann = Principal::new("ann")
            .with_role("staff")
            .with_value("hidden");
        assert_eq!(
            format!("{ann:?}"),
            r#"Principal { name: "ann", roles: ["staff"], .. }"#
        );
    }
}
