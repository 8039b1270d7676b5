//! Streams as parameters and results of interfaces.

use crate::{
    api::promise::Pipelined,
    typed::{
        Accepts, NoPipeline, NonList,
        stream::{byte_stream::ByteStream, readable::Readable, writable::Writable},
    },
};

macro_rules! streams {
    ($($stream:ident $(<$chunk:ident>)?;)*) => {
        $(
            #[diagnostic::do_not_recommend]
            impl$(<$chunk>)? Pipelined for $stream$(<$chunk>)? {
                type Pipeline = NoPipeline<Self>;
            }

            #[diagnostic::do_not_recommend]
            impl$(<$chunk>)? NonList for $stream$(<$chunk>)? {}

            #[diagnostic::do_not_recommend]
            impl$(<$chunk>)? Accepts<Self> for $stream$(<$chunk>)? {
                type Wire = Self;

                fn wire(argument: Self) -> Self {
                    argument
                }
            }

            /// If the call is not sent, the stream can still be used.
            #[diagnostic::do_not_recommend]
            impl<'a $(, $chunk)?> Accepts<&'a Self> for $stream$(<$chunk>)? {
                type Wire = &'a Self;

                fn wire(argument: &'a Self) -> &'a Self {
                    argument
                }
            }
        )*
    };
}

streams! {
    Readable<T>;
    Writable<T>;
    ByteStream;
}
