//! The job's columns and what each means.

use crate::model::{Error, ScanRequest, nearest};

/// Names of columns that an error lists.
const COLUMNS_SHOWN: usize = 20;

/// What a column means, in the order in which a row's values are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// The whole row or line.
    Row,
    /// The left key.
    Left,
    /// The right key.
    Right,
    /// The time.
    Time,
    /// The action.
    Action,
    /// The weight.
    Weight,
}

impl Role {
    /// The columns that a request names, in order of role.
    pub(super) fn columns(request: &ScanRequest) -> Vec<(Role, &str)> {
        let columns = &request.columns;
        let optional = [
            (Role::Time, &columns.time),
            (Role::Action, &columns.action),
            (Role::Weight, &columns.weight),
        ];
        let mut named = vec![(Role::Left, &*columns.left), (Role::Right, &*columns.right)];
        named.extend(optional.into_iter().filter_map(|(r, c)| Some((r, c.as_deref()?))));
        named
    }

    /// The name of the role's column; empty for a whole row.
    pub(super) fn column(self, request: &ScanRequest) -> &str {
        let of_role = |&(role, _): &(Role, &str)| role == self;
        Role::columns(request).into_iter().find(of_role).map_or("", |(_, column)| column)
    }
}

/// The error for a column that is not among `names`.
pub(super) fn missing_column(column: &str, names: &[&str]) -> Error {
    let mut listed = names.iter().take(COLUMNS_SHOWN).copied().collect::<Vec<_>>().join(", ");
    if names.len() > COLUMNS_SHOWN {
        listed.push_str(&format!(" and {} more", names.len() - COLUMNS_SHOWN));
    }
    let guess = match nearest(column, names.iter().copied()) {
        Some(name) => format!("did you mean {name}? "),
        None => String::new(),
    };
    Error::input("no such column").column(column).remedy(format!("{guess}the columns are {listed}"))
}
