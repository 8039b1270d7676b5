//! Tracking of calls without an answer.

use std::collections::VecDeque;

use crate::Result;

/// The calls in flight. Answers may arrive in any order, but usually arrive in the order of the
/// calls.
#[derive(Debug)]
pub(crate) struct Outstanding {
    /// The ID of the first of `answered`.
    first: u64,
    answered: VecDeque<bool>,
    count: usize,
}

impl Outstanding {
    /// Starts without calls, before the call with ID `first`.
    pub(crate) fn before(first: u64) -> Self {
        Self {
            first,
            answered: VecDeque::new(),
            count: 0,
        }
    }

    /// Begins a call, and returns its ID.
    pub(crate) fn begin(&mut self) -> u64 {
        let id = self.first + self.answered.len() as u64;
        self.answered.push_back(false);
        self.count += 1;
        id
    }

    /// Ends the call with this ID.
    ///
    /// # Errors
    ///
    /// Returns an error if no such call is in flight.
    pub(crate) fn end(&mut self, id: u64) -> Result {
        let index = id
            .checked_sub(self.first)
            .and_then(|i| usize::try_from(i).ok());
        match index.and_then(|index| self.answered.get_mut(index)) {
            Some(answered @ false) => *answered = true,
            _ => return Err(format!("an answer came to call {id}, which is not under way").into()),
        }
        self.count -= 1;
        while self.answered.front() == Some(&true) {
            self.answered.pop_front();
            self.first += 1;
        }
        Ok(())
    }

    /// Returns the number of calls in flight.
    pub(crate) fn count(&self) -> usize {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_in_any_order_but_once() {
        let mut calls = Outstanding::before(1);
        assert_eq!((calls.begin(), calls.begin(), calls.begin()), (1, 2, 3));
        calls.end(2).unwrap();
        assert!(calls.end(2).is_err());
        assert!(calls.end(4).is_err());
        assert!(calls.end(0).is_err());
        assert_eq!(calls.count(), 2);
        calls.end(1).unwrap();
        assert!(calls.end(1).is_err());
        assert_eq!(calls.begin(), 4);
        calls.end(3).unwrap();
        calls.end(4).unwrap();
        assert_eq!((calls.count(), calls.answered.len()), (0, 0));
    }
}
