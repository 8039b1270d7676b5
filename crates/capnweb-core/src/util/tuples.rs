//! Tuples that traits are implemented for.

/// Calls a macro with the type parameters of each tuple of one to twelve elements.
macro_rules! for_tuples {
    ($implement:ident) => {
        $implement! {
            A;
            A B;
            A B C;
            A B C D;
            A B C D E;
            A B C D E F;
            A B C D E F G;
            A B C D E F G H;
            A B C D E F G H I;
            A B C D E F G H I J;
            A B C D E F G H I J K;
            A B C D E F G H I J K L;
        }
    };
}

pub(crate) use for_tuples;
