//! Sorting.

/// Sorts by a key, without keeping the order of equal elements.
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
#[inline]
pub fn sort_by_key<T, K: Ord>(elements: &mut [T], key: impl Fn(&T) -> K) {
    elements.sort_unstable_by_key(key);
}

/// Sorts by a key, without keeping the order of equal elements.
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
pub fn sort_by_key<T, K: Ord>(elements: &mut [T], key: impl Fn(&T) -> K) {
    heapsort(elements, &key);
}

/// Sorts in place. The standard library's sort is faster, but adds two kilobytes to a module for
/// each type.
#[cfg(any(test, all(target_family = "wasm", target_os = "unknown")))]
fn heapsort<T, K: Ord>(elements: &mut [T], key: &impl Fn(&T) -> K) {
    for start in (0..elements.len() / 2).rev() {
        sift_down(elements, start, key);
    }
    for end in (1..elements.len()).rev() {
        elements.swap(0, end);
        if let Some(heap) = elements.get_mut(..end) {
            sift_down(heap, 0, key);
        }
    }
}

/// Moves the element at `at` down the heap until it is no less than its children.
#[cfg(any(test, all(target_family = "wasm", target_os = "unknown")))]
fn sift_down<T, K: Ord>(heap: &mut [T], mut at: usize, key: &impl Fn(&T) -> K) {
    loop {
        let (left, right) = (2 * at + 1, 2 * at + 2);
        let keys = |index: usize| heap.get(index).map(key);
        let larger = if keys(right) > keys(left) {
            right
        } else {
            left
        };
        // Outside the heap there is no key, which is less than any.
        if keys(larger) <= keys(at) {
            return;
        }
        heap.swap(at, larger);
        at = larger;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_heapsort_sorts(mut numbers: Vec<(u16, u8)>) {
            let mut expected = numbers.clone();
            expected.sort_unstable();
            super::heapsort(&mut numbers, &|pair| *pair);
            prop_assert_eq!(numbers, expected);
        }
    }
}
