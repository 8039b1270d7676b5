/// A library.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not implement the interface `Library`",
    note = "where a `LibraryStub` is expected, pass an object that implements `Library`, the stub of one, or a promise of a stub"
)]
pub trait Library: Named + ::core::marker::Send + ::core::marker::Sync + 'static {
    /// Looks up a book.
    fn find_book(
        &self,
        isbn: String,
        edition: Option<u32>,
    ) -> impl ::core::future::Future<Output = Result<BookStub>> + ::core::marker::Send;
    /// Returns the number of books.
    fn size(&self) -> Result<u32>;
    fn watch(
        &self,
        context: &Context,
        on_book: Callback<String>,
    ) -> impl ::core::future::Future<Output = Result<()>> + ::core::marker::Send;
    fn newest(&self) -> Promise<Book>;
    #[allow(clippy::manual_async_fn)]
    fn other(
        &self,
        method: String,
        args: Payload,
    ) -> impl ::core::future::Future<Output = Result<Payload>> + ::core::marker::Send {
        async move { Err(Error::new(format!("no {method}({args:?}) here"))) }
    }
}
#[allow(deprecated, non_snake_case)]
/// A reference to an object with the interface [`Library`](trait@Library), in this
/// process or at a peer.
///
/// Each method makes a call and immediately returns a promise of its result.
///
/// A library.
#[allow(dead_code)]
pub struct LibraryStub(NamedStub);
#[allow(deprecated, non_snake_case)]
#[allow(dead_code, clippy::all, clippy::pedantic)]
impl LibraryStub {
    /// Returns a reference to `target`, an object of this process. The object lives as long
    /// as any reference to it, in this process or at a peer.
    ///
    /// An `Arc` of an object is an object too. So one object can have several interfaces:
    /// `LibraryStub::new(shared.clone())`.
    pub fn new(target: impl Library) -> Self {
        <Self as ::capnweb::StubType>::from_stub(
            ::capnweb::macro_support::stub::<Self, _>(target),
        )
    }
    /// Looks up a book.
    pub fn find_book<A0, M0, A1, M1>(
        &self,
        isbn: A0,
        edition: A1,
    ) -> ::capnweb::Promise<BookStub>
    where
        String: ::capnweb::macro_support::Accepts<A0, M0>,
        Option<u32>: ::capnweb::macro_support::Accepts<A1, M1>,
    {
        ::capnweb::macro_support::call(
            ::capnweb::StubType::as_stub(self),
            {
                static NAME: ::capnweb::macro_support::Name = ::capnweb::macro_support::Name::renamed(
                    "findBook",
                    "Library::find_book",
                );
                &NAME
            },
            (
                <String as ::capnweb::macro_support::Accepts<A0, M0>>::wire(isbn),
                ::capnweb::macro_support::Trailing(
                    <Option<
                        u32,
                    > as ::capnweb::macro_support::Accepts<A1, M1>>::wire(edition),
                ),
            ),
        )
    }
    /// Returns the number of books.
    pub fn size(&self) -> ::capnweb::Promise<u32> {
        ::capnweb::macro_support::get(
            ::capnweb::StubType::as_stub(self),
            {
                static NAME: ::capnweb::macro_support::Name = ::capnweb::macro_support::Name::new(
                    "size",
                );
                &NAME
            },
        )
    }
    /// Calls `watch`.
    pub fn watch<A0, M0>(&self, on_book: A0) -> ::capnweb::Promise<()>
    where
        Callback<String>: ::capnweb::macro_support::Accepts<A0, M0>,
    {
        ::capnweb::macro_support::call(
            ::capnweb::StubType::as_stub(self),
            {
                static NAME: ::capnweb::macro_support::Name = ::capnweb::macro_support::Name::new(
                    "watch",
                );
                &NAME
            },
            (
                <Callback<
                    String,
                > as ::capnweb::macro_support::Accepts<A0, M0>>::wire(on_book),
            ),
        )
    }
    /// Calls `newest`.
    pub fn newest(&self) -> ::capnweb::Promise<Book> {
        ::capnweb::macro_support::call(
            ::capnweb::StubType::as_stub(self),
            {
                static NAME: ::capnweb::macro_support::Name = ::capnweb::macro_support::Name::new(
                    "newest",
                );
                &NAME
            },
            (),
        )
    }
    /// Calls any method by its name.
    pub fn other(
        &self,
        method: &str,
        args: impl ::capnweb::macro_support::CallArgs,
    ) -> ::capnweb::Promise<Payload> {
        ::capnweb::macro_support::call_named(
            ::capnweb::StubType::as_stub(self),
            method,
            args,
        )
    }
}
#[allow(deprecated, non_snake_case)]
impl ::capnweb::StubType for LibraryStub {
    fn from_stub(stub: ::capnweb::Stub) -> Self {
        Self(<NamedStub as ::capnweb::StubType>::from_stub(stub))
    }
    fn as_stub(&self) -> &::capnweb::Stub {
        ::capnweb::StubType::as_stub(&self.0)
    }
    fn into_stub(self) -> ::capnweb::Stub {
        ::capnweb::StubType::into_stub(self.0)
    }
}
#[allow(deprecated, non_snake_case)]
impl ::core::ops::Deref for LibraryStub {
    type Target = NamedStub;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}
#[allow(deprecated, non_snake_case)]
impl ::core::clone::Clone for LibraryStub {
    fn clone(&self) -> Self {
        Self(::core::clone::Clone::clone(&self.0))
    }
}
#[allow(deprecated, non_snake_case)]
impl ::core::fmt::Debug for LibraryStub {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_tuple("LibraryStub").field(::capnweb::StubType::as_stub(self)).finish()
    }
}
#[allow(deprecated, non_snake_case)]
#[diagnostic::do_not_recommend]
impl ::capnweb::macro_support::Pipelined for LibraryStub {
    type Pipeline = Self;
}
#[allow(deprecated, non_snake_case)]
impl ::capnweb::macro_support::TypedPipeline for LibraryStub {}
#[allow(deprecated, non_snake_case)]
impl ::capnweb::macro_support::serde::Serialize for LibraryStub {
    fn serialize<S: ::capnweb::macro_support::serde::Serializer>(
        &self,
        serializer: S,
    ) -> ::core::result::Result<S::Ok, S::Error> {
        ::capnweb::macro_support::serde::Serialize::serialize(
            ::capnweb::StubType::as_stub(self),
            serializer,
        )
    }
}
#[allow(deprecated, non_snake_case)]
impl<'de> ::capnweb::macro_support::serde::Deserialize<'de> for LibraryStub {
    fn deserialize<D: ::capnweb::macro_support::serde::Deserializer<'de>>(
        deserializer: D,
    ) -> ::core::result::Result<Self, D::Error> {
        <::capnweb::Stub as ::capnweb::macro_support::serde::Deserialize>::deserialize(
                deserializer,
            )
            .map(<Self as ::capnweb::StubType>::from_stub)
    }
}
#[allow(deprecated, non_snake_case)]
#[diagnostic::do_not_recommend]
impl ::capnweb::macro_support::MapOutput for LibraryStub {
    type Value = Self;
}
#[allow(deprecated, non_snake_case)]
#[diagnostic::do_not_recommend]
impl ::capnweb::macro_support::NonList for LibraryStub {}
#[allow(deprecated, non_snake_case)]
#[diagnostic::do_not_recommend]
impl ::capnweb::macro_support::Accepts<LibraryStub> for LibraryStub {
    type Wire = Self;
    fn wire(argument: Self) -> Self {
        argument
    }
}
#[allow(deprecated, non_snake_case)]
#[diagnostic::do_not_recommend]
impl<'a> ::capnweb::macro_support::Accepts<&'a LibraryStub> for LibraryStub {
    type Wire = &'a Self;
    fn wire(argument: &'a Self) -> &'a Self {
        argument
    }
}
#[allow(deprecated, non_snake_case)]
#[diagnostic::do_not_recommend]
impl<T: Library> ::capnweb::macro_support::Accepts<T> for LibraryStub {
    type Wire = Self;
    fn wire(argument: T) -> Self {
        Self::new(argument)
    }
}
#[allow(deprecated, non_snake_case)]
impl ::core::convert::From<LibraryStub> for NamedStub {
    fn from(stub: LibraryStub) -> Self {
        <Self as ::capnweb::StubType>::from_stub(::capnweb::StubType::into_stub(stub))
    }
}
#[allow(deprecated, non_snake_case)]
impl<'a> ::core::convert::From<&'a LibraryStub> for NamedStub {
    fn from(stub: &'a LibraryStub) -> Self {
        ::core::convert::From::from(::core::clone::Clone::clone(stub))
    }
}
#[allow(deprecated, non_snake_case)]
#[diagnostic::do_not_recommend]
impl ::capnweb::macro_support::Accepts<LibraryStub> for NamedStub {
    type Wire = LibraryStub;
    fn wire(argument: LibraryStub) -> LibraryStub {
        argument
    }
}
#[allow(deprecated, non_snake_case)]
#[diagnostic::do_not_recommend]
impl<'a> ::capnweb::macro_support::Accepts<&'a LibraryStub> for NamedStub {
    type Wire = &'a LibraryStub;
    fn wire(argument: &'a LibraryStub) -> &'a LibraryStub {
        argument
    }
}
#[allow(deprecated, non_snake_case)]
#[diagnostic::do_not_recommend]
impl<
    E,
> ::capnweb::macro_support::Accepts<::capnweb::Promise<LibraryStub, E>, LibraryStub>
for NamedStub {
    type Wire = ::capnweb::Promise<LibraryStub, E>;
    fn wire(
        argument: ::capnweb::Promise<LibraryStub, E>,
    ) -> ::capnweb::Promise<LibraryStub, E> {
        argument
    }
}
#[allow(deprecated, non_snake_case)]
#[diagnostic::do_not_recommend]
impl<
    'a,
    E,
> ::capnweb::macro_support::Accepts<&'a ::capnweb::Promise<LibraryStub, E>, LibraryStub>
for NamedStub {
    type Wire = &'a ::capnweb::Promise<LibraryStub, E>;
    fn wire(
        argument: &'a ::capnweb::Promise<LibraryStub, E>,
    ) -> &'a ::capnweb::Promise<LibraryStub, E> {
        argument
    }
}
#[allow(deprecated, non_snake_case)]
#[allow(clippy::all, clippy::pedantic)]
impl<T: Library> ::capnweb::macro_support::Dispatch<T> for LibraryStub {
    fn call<H: ::capnweb::macro_support::Holds<T>>(
        target: ::std::sync::Arc<H>,
        call: &mut ::capnweb::macro_support::Call<'_>,
    ) -> ::capnweb::Result<::capnweb::macro_support::Answer> {
        match call.method() {
            "findBook" => {
                let isbn = ::capnweb::macro_support::renamed_argument::<
                    String,
                >(call, "isbn", "`isbn` of `Library::find_book`")?;
                let edition = ::capnweb::macro_support::renamed_argument::<
                    Option<u32>,
                >(call, "edition", "`edition` of `Library::find_book`")?;
                ::core::result::Result::Ok(
                    ::capnweb::macro_support::answer_future::<
                        BookStub,
                        _,
                        _,
                    >(async move {
                        <T as Library>::find_book(&target, isbn, edition).await
                    }),
                )
            }
            "watch" => {
                let context = call.context();
                let on_book = ::capnweb::macro_support::renamed_argument::<
                    Callback<String>,
                >(call, "onBook", "`on_book` of `Library::watch`")?;
                ::capnweb::macro_support::no_more_arguments(call, 1usize)?;
                ::core::result::Result::Ok(
                    ::capnweb::macro_support::answer_cancelable::<
                        (),
                        _,
                        _,
                    >(
                        call.context(),
                        async move {
                            <T as Library>::watch(&target, &context, on_book).await
                        },
                    ),
                )
            }
            "newest" => {
                ::core::result::Result::Ok(
                    ::capnweb::macro_support::answer_promise::<
                        Book,
                        _,
                    >(<T as Library>::newest(&target)),
                )
            }
            _ => <NamedStub as ::capnweb::macro_support::Dispatch<T>>::call(target, call),
        }
    }
    const CATCHES: bool = true;
    fn catch<H: ::capnweb::macro_support::Holds<T>>(
        target: ::std::sync::Arc<H>,
        call: &mut ::capnweb::macro_support::Call<'_>,
    ) -> ::capnweb::Result<::capnweb::macro_support::Answer> {
        let method = ::std::string::String::from(call.method());
        let args = ::capnweb::macro_support::all_arguments::<Payload>(call)?;
        ::core::result::Result::Ok(
            ::capnweb::macro_support::answer_future::<
                Payload,
                _,
                _,
            >(async move { <T as Library>::other(&target, method, args).await }),
        )
    }
    fn get<H: ::capnweb::macro_support::Holds<T>>(
        target: ::std::sync::Arc<H>,
        get: &::capnweb::macro_support::Get<'_>,
    ) -> ::capnweb::macro_support::Property {
        match get.name() {
            "size" => {
                ::capnweb::macro_support::property(
                    ::capnweb::macro_support::answer::<
                        u32,
                        _,
                    >(<T as Library>::size(&target)),
                )
            }
            "findBook" | "watch" | "newest" => ::capnweb::macro_support::Property::Method,
            _ => <NamedStub as ::capnweb::macro_support::Dispatch<T>>::get(target, get),
        }
    }
    fn declares(name: &str) -> bool {
        match name {
            "findBook" => true,
            "size" => true,
            "watch" => true,
            "newest" => true,
            _ => {
                false
                    || <NamedStub as ::capnweb::macro_support::Dispatch<
                        T,
                    >>::declares(name)
            }
        }
    }
    ::capnweb::macro_support::describe! {
        fn description() -> ::core::option::Option < ::capnweb::Payload > { static KEPT :
        ::capnweb::describe::Kept = ::capnweb::describe::Kept::new(); KEPT.of:: < Self >
        (0usize) }
    }
}
#[allow(deprecated, non_snake_case)]
#[diagnostic::do_not_recommend]
impl<T: Library> Library for ::std::sync::Arc<T> {
    fn find_book(
        &self,
        isbn: String,
        edition: Option<u32>,
    ) -> impl ::core::future::Future<Output = Result<BookStub>> + ::core::marker::Send {
        <T as Library>::find_book(&**self, isbn, edition)
    }
    fn size(&self) -> Result<u32> {
        <T as Library>::size(&**self)
    }
    fn watch(
        &self,
        context: &Context,
        on_book: Callback<String>,
    ) -> impl ::core::future::Future<Output = Result<()>> + ::core::marker::Send {
        <T as Library>::watch(&**self, context, on_book)
    }
    fn newest(&self) -> Promise<Book> {
        <T as Library>::newest(&**self)
    }
    fn other(
        &self,
        method: String,
        args: Payload,
    ) -> impl ::core::future::Future<Output = Result<Payload>> + ::core::marker::Send {
        <T as Library>::other(&**self, method, args)
    }
}
::capnweb::macro_support::describe! {
    #[allow(deprecated, unused_mut, unused_variables, unused_imports, clippy::all,
    clippy::pedantic)] impl ::capnweb::describe::Describe for LibraryStub { fn describe(d
    : & mut ::capnweb::describe::Describer) -> ::capnweb::describe::Type { let arguments
    = ::std::vec![]; < Self as ::capnweb::describe::DescribeWith > ::describe_with(d,
    arguments) } } #[allow(deprecated, unused_mut, unused_variables, unused_imports,
    clippy::all, clippy::pedantic)] impl ::capnweb::describe::DescribeWith for
    LibraryStub { fn describe_with(d : & mut ::capnweb::describe::Describer, arguments :
    ::std::vec::Vec < ::capnweb::describe::Type >,) -> ::capnweb::describe::Type { use
    ::capnweb::describe:: { Described as _, DescribedError as _, DescribedWith as _,
    Undescribed as _, UndescribedError as _, }; d.interface(& ::capnweb::describe::Source
    { name : "Library", module : ::core::module_path!(), line : ::core::line!(), docs : &
    [" A library."], deprecated : ::core::option::Option::None, parameters : & [], },
    arguments, | d, it | { { let ty = (& ::capnweb::describe::Probe:: < NamedStub >
    ::new()).found(d, | d | ::std::vec![], | d | ::capnweb::describe::Type::Unknown); it
    .add_supertrait(ty); } { let method = ::capnweb::describe::MethodSource { name :
    "findBook", docs : & [" Looks up a book."], deprecated :
    ::core::option::Option::None, is_property : false, parameters :
    ::std::vec![::capnweb::describe::Parameter::new("isbn", (&
    ::capnweb::describe::Probe:: < String > ::new()).found(d, | d | ::std::vec![], | d |
    ::capnweb::describe::Type::Unknown), false, false),
    ::capnweb::describe::Parameter::new("edition", { let of = (&
    ::capnweb::describe::Probe:: < u32 > ::new()).found(d, | d | ::std::vec![], | d |
    ::capnweb::describe::Type::Unknown); ::capnweb::describe::Type::nullable(of) }, true,
    false)], result : (& ::capnweb::describe::Probe:: < BookStub > ::new()).found(d, | d
    | ::std::vec![], | d | ::capnweb::describe::Type::Unknown), error :
    ::core::option::Option::None, }; it.add(method); } { let method =
    ::capnweb::describe::MethodSource { name : "size", docs : &
    [" Returns the number of books."], deprecated : ::core::option::Option::None,
    is_property : true, parameters : ::std::vec![], result : (&
    ::capnweb::describe::Probe:: < u32 > ::new()).found(d, | d | ::std::vec![], | d |
    ::capnweb::describe::Type::Unknown), error : ::core::option::Option::None, }; it
    .add(method); } { let method = ::capnweb::describe::MethodSource { name : "watch",
    docs : & [], deprecated : ::core::option::Option::None, is_property : false,
    parameters : ::std::vec![::capnweb::describe::Parameter::new("onBook", (&
    ::capnweb::describe::Probe:: < Callback < String > > ::new()).found(d, | d |
    ::std::vec![(& ::capnweb::describe::Probe:: < String > ::new()).found(d, | d |
    ::std::vec![], | d | ::capnweb::describe::Type::Unknown)], | d |
    ::capnweb::describe::Type::Function { parameters : ::std::vec![(&
    ::capnweb::describe::Probe:: < String > ::new()).found(d, | d | ::std::vec![], | d |
    ::capnweb::describe::Type::Unknown)], result :
    ::std::boxed::Box::new(::capnweb::describe::Type::Unit), }), false, false)], result :
    (& ::capnweb::describe::Probe:: < () > ::new()).found(d, | d | ::std::vec![], | d |
    ::capnweb::describe::Type::Unknown), error : ::core::option::Option::None, }; it
    .add(method); } { let method = ::capnweb::describe::MethodSource { name : "newest",
    docs : & [], deprecated : ::core::option::Option::None, is_property : false,
    parameters : ::std::vec![], result : (& ::capnweb::describe::Probe:: < Book >
    ::new()).found(d, | d | ::std::vec![], | d | ::capnweb::describe::Type::Unknown),
    error : ::core::option::Option::None, }; it.add(method); } { let result = (&
    ::capnweb::describe::Probe:: < Payload > ::new()).found(d, | d | ::std::vec![], | d |
    ::capnweb::describe::Type::Unknown); it.add_catch_all(& [], result); } }) } }
}
