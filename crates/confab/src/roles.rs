//! The parts of Confab that can run in a process of their own.

use std::fmt;

use clap::ValueEnum;

/// One part of Confab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// HTTP and WebSocket for front ends.
    Gateway,
    /// Users, tokens, balances.
    Sessions,
    /// Conversations.
    Threads,
    /// Files.
    Attachments,
    /// Models and agents.
    Completions,
    /// What was said, by its meaning.
    Search,
}

impl Role {
    /// All of them, leaves first: a role calls only those before it.
    pub const ALL: [Self; 6] = [
        Self::Sessions,
        Self::Threads,
        Self::Attachments,
        Self::Completions,
        Self::Search,
        Self::Gateway,
    ];

    /// The roles that this one calls.
    #[must_use]
    pub fn calls(self) -> &'static [Self] {
        match self {
            Self::Sessions | Self::Threads | Self::Attachments => &[],
            Self::Completions => &[Self::Sessions, Self::Threads, Self::Attachments],
            Self::Search => &[Self::Threads, Self::Completions],
            Self::Gateway => &[
                Self::Sessions,
                Self::Threads,
                Self::Attachments,
                Self::Completions,
                Self::Search,
            ],
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Gateway => "gateway",
            Self::Sessions => "sessions",
            Self::Threads => "threads",
            Self::Attachments => "attachments",
            Self::Completions => "completions",
            Self::Search => "search",
        })
    }
}

/// The roles of one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles(Vec<Role>);

impl Roles {
    /// Every role in one process.
    #[must_use]
    pub fn all() -> Self {
        Self(Role::ALL.to_vec())
    }

    /// Some of them; none means all.
    #[must_use]
    pub fn of(roles: &[Role]) -> Self {
        if roles.is_empty() {
            return Self::all();
        }
        let picked = Role::ALL.into_iter().filter(|role| roles.contains(role));
        Self(picked.collect())
    }

    /// Whether a role runs in this process.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }

    /// Whether some role runs elsewhere.
    #[must_use]
    pub fn are_split(&self) -> bool {
        self.0.len() < Role::ALL.len()
    }

    /// Whether a role of this process calls `role`.
    #[must_use]
    pub fn call(&self, role: Role) -> bool {
        self.0.iter().any(|mine| mine.calls().contains(&role))
    }

    /// The roles, leaves first.
    pub fn iter(&self) -> impl Iterator<Item = Role> + '_ {
        self.0.iter().copied()
    }
}
