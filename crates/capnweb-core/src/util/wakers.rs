//! Registration of wakers.

use std::task::Waker;

/// Registers `waker` in the list, unless an equal one is there. A waker to be dropped is left in
/// `waker`. Since wakers are foreign code, the caller clones it before locking and drops it after
/// unlocking.
pub(crate) fn register(wakers: &mut Vec<Waker>, waker: &mut Option<Waker>) {
    let Some(new) = waker.take() else { return };
    match wakers.iter_mut().find(|known| known.will_wake(&new)) {
        Some(known) => *waker = Some(std::mem::replace(known, new)),
        None => wakers.push(new),
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, task::Wake};

    use super::*;

    struct Nothing;
    impl Wake for Nothing {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn a_waker_is_registered_once() {
        let (first, second) = (
            Waker::from(Arc::new(Nothing)),
            Waker::from(Arc::new(Nothing)),
        );
        let mut list = Vec::new();
        for (waker, len, left) in [(&first, 1, false), (&second, 2, false), (&first, 2, true)] {
            let mut waker = Some(waker.clone());
            register(&mut list, &mut waker);
            assert_eq!((list.len(), waker.is_some()), (len, left));
        }
    }
}
