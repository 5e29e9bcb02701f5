//! What money may do, without a database.

use crate::error::Error;

/// What a user has, and how much of it is set aside for runs under way; `0 <= reserved <= balance`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) balance: i64,
    pub(crate) reserved: i64,
}

/// How much a run wants set aside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish {
    minimum: i64,
    maximum: i64,
    /// This many open reservations are too many; 0: no number is.
    open_limit: u32,
    background: bool,
}

impl Wish {
    pub(crate) fn new(minimum: i64, maximum: i64, open_limit: u32) -> Result<Self, Error> {
        if minimum < 0 || maximum < 0 {
            return Err(Error::Invalid("a reservation must not be negative"));
        }
        Ok(Self {
            minimum,
            maximum,
            open_limit,
            background: false,
        })
    }

    /// The same, for work that the user waits for or does not.
    pub(crate) fn in_background(self, background: bool) -> Self {
        Self { background, ..self }
    }

    /// Whether it matters how many reservations are open.
    pub(crate) fn is_limited(self) -> bool {
        self.open_limit > 0
    }

    /// Whether no limit counts the reservation.
    pub(crate) fn is_background(self) -> bool {
        self.background
    }
}

/// What an API key may cost in all, has cost, and has set aside; `spent + reserved <= limit`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Budget {
    /// `None`: as much as the user has.
    pub(crate) limit: Option<i64>,
    pub(crate) spent: i64,
    pub(crate) reserved: i64,
}

impl Budget {
    /// Of who asks without a key.
    pub(crate) fn unlimited() -> Self {
        Self::default()
    }

    /// What was neither spent nor set aside.
    fn available(self) -> i64 {
        self.limit
            .map_or(i64::MAX, |limit| limit - self.spent - self.reserved)
    }

    fn is_spent(self) -> bool {
        self.limit.is_some_and(|limit| self.spent >= limit)
    }

    /// How much of `amount` it bears. What costs nothing needs no budget.
    fn bears(self, amount: i64, wish: Wish) -> Result<i64, Error> {
        let available = self.available();
        if available < wish.minimum || (available <= 0 && wish.maximum > 0) {
            return Err(Error::BudgetExceeded);
        }
        Ok(amount.min(available))
    }
}

impl Account {
    /// What no run has been promised.
    pub(crate) fn available(self) -> i64 {
        self.balance - self.reserved
    }

    /// The same, as far as a budget goes.
    pub(crate) fn available_within(self, budget: Budget) -> i64 {
        self.available().min(budget.available())
    }

    pub(crate) fn deposit(&mut self, amount: i64) -> Result<(), Error> {
        if amount <= 0 {
            return Err(Error::Invalid("a deposit must be more than nothing"));
        }
        self.balance = self
            .balance
            .checked_add(amount)
            .ok_or(Error::Invalid("the balance would be too large"))?;
        Ok(())
    }

    /// Sets money aside beside `open` earlier reservations that count, and says how much.
    ///
    /// Whoever has nothing at all is told so. Whoever has too many runs under way is told to wait, also when those hold
    /// all the money there is: they will free some.
    pub(crate) fn reserve(
        &mut self,
        budget: &mut Budget,
        wish: Wish,
        open: u64,
    ) -> Result<i64, Error> {
        if self.balance <= 0 {
            return Err(Error::BalanceInsufficient);
        }
        if budget.is_spent() && wish.maximum > 0 {
            return Err(Error::BudgetExceeded);
        }
        if wish.open_limit > 0 && open >= u64::from(wish.open_limit) {
            return Err(Error::RunLimit);
        }
        let available = self.available();
        if available <= 0 || available < wish.minimum {
            return Err(Error::BalanceInsufficient);
        }
        let amount = budget.bears(available.min(wish.maximum), wish)?;
        self.reserved += amount;
        budget.reserved += amount;
        Ok(amount)
    }

    /// Ends a reservation of `amount` and says what was charged: the cost, as far as the reservation and what is
    /// available of account and budget go. What other runs were promised is not touched.
    pub(crate) fn settle(&mut self, budget: &mut Budget, amount: i64, cost: i64) -> i64 {
        let beyond = self.available_within(*budget);
        let charged = cost.min(amount + beyond);
        self.reserved -= amount;
        self.balance -= charged;
        budget.reserved -= amount;
        budget.spent += charged;
        charged
    }
}
