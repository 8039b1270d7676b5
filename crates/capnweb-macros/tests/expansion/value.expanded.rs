#[derive(
    ::capnweb::macro_support::serde::Serialize,
    ::capnweb::macro_support::serde::Deserialize,
)]
#[serde(crate = "::capnweb::macro_support::serde")]
#[serde(rename_all = "camelCase")]
/// A book, or the promise of one.
#[derive(Clone, Debug)]
pub struct Book<A> {
    /// The text on the cover.
    pub title: String,
    pub written_by: A,
    #[serde(rename = "ISBN")]
    isbn: Option<String>,
}
#[allow(deprecated)]
/// The pipeline of a [`Book`]: its fields, which can be read before it is there.
#[allow(dead_code)]
pub struct BookPipeline<A>(::capnweb::Stub, ::core::marker::PhantomData<fn() -> (A,)>);
#[allow(deprecated)]
#[allow(dead_code, clippy::all, clippy::pedantic)]
impl<A> BookPipeline<A> {
    /// The text on the cover.
    pub fn title(&self) -> ::capnweb::Promise<String> {
        static NAME: ::capnweb::macro_support::Name = ::capnweb::macro_support::Name::new(
            "title",
        );
        ::capnweb::macro_support::get(&self.0, &NAME)
    }
    /// Reads the field `writtenBy`.
    pub fn written_by(&self) -> ::capnweb::Promise<A>
    where
        A: ::capnweb::macro_support::Pipelined,
    {
        static NAME: ::capnweb::macro_support::Name = ::capnweb::macro_support::Name::renamed(
            "writtenBy",
            "Book::written_by",
        );
        ::capnweb::macro_support::get(&self.0, &NAME)
    }
    /// Reads the field `ISBN`.
    fn isbn(&self) -> ::capnweb::Promise<Option<String>> {
        static NAME: ::capnweb::macro_support::Name = ::capnweb::macro_support::Name::renamed(
            "ISBN",
            "Book::isbn",
        );
        ::capnweb::macro_support::get(&self.0, &NAME)
    }
}
#[allow(deprecated)]
impl<A> ::capnweb::StubType for BookPipeline<A> {
    fn from_stub(stub: ::capnweb::Stub) -> Self {
        Self(stub, ::core::marker::PhantomData)
    }
    fn as_stub(&self) -> &::capnweb::Stub {
        &self.0
    }
    fn into_stub(self) -> ::capnweb::Stub {
        self.0
    }
}
#[allow(deprecated)]
impl<A> ::capnweb::macro_support::TypedPipeline for BookPipeline<A> {}
#[allow(deprecated)]
impl<A> ::core::ops::Deref for BookPipeline<A> {
    type Target = ::capnweb::Stub;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}
#[allow(deprecated)]
impl<A> ::core::fmt::Debug for BookPipeline<A> {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_tuple("BookPipeline").field(&self.0).finish()
    }
}
#[allow(deprecated)]
#[diagnostic::do_not_recommend]
impl<A> ::capnweb::macro_support::Pipelined for Book<A> {
    type Pipeline = BookPipeline<A>;
}
#[allow(deprecated)]
#[diagnostic::do_not_recommend]
impl<
    A,
    A0,
    M0,
> ::capnweb::macro_support::Accepts<Book<A0>, ::capnweb::macro_support::ViaFields<(M0,)>>
for Book<A>
where
    A: ::capnweb::macro_support::Accepts<
        A0,
        M0,
        Wire: ::capnweb::macro_support::Like<A0>,
    >,
    A0: ::capnweb::macro_support::serde::Serialize,
    Book<A0>: ::capnweb::macro_support::serde::Serialize,
{
    type Wire = Book<A0>;
    fn wire(argument: Book<A0>) -> Book<A0> {
        argument
    }
}
#[allow(deprecated)]
#[diagnostic::do_not_recommend]
impl<
    'a,
    A,
    A0,
    M0,
> ::capnweb::macro_support::Accepts<
    &'a Book<A0>,
    ::capnweb::macro_support::ViaFields<(M0,)>,
> for Book<A>
where
    A: ::capnweb::macro_support::Accepts<
        A0,
        M0,
        Wire: ::capnweb::macro_support::Like<A0>,
    >,
    A0: ::capnweb::macro_support::serde::Serialize,
    Book<A0>: ::capnweb::macro_support::serde::Serialize,
{
    type Wire = &'a Book<A0>;
    fn wire(argument: &'a Book<A0>) -> &'a Book<A0> {
        argument
    }
}
#[allow(deprecated)]
#[diagnostic::do_not_recommend]
impl<A> ::capnweb::macro_support::MapOutput for Book<A>
where
    A: ::capnweb::macro_support::MapOutput,
{
    type Value = Book<<A as ::capnweb::macro_support::MapOutput>::Value>;
}
#[allow(deprecated)]
#[diagnostic::do_not_recommend]
impl<A> ::capnweb::macro_support::NonList for Book<A> {}
::capnweb::macro_support::describe! {
    #[allow(deprecated, unused_mut, unused_variables, unused_imports, clippy::all,
    clippy::pedantic)] impl < A : ::capnweb::describe::Describe >
    ::capnweb::describe::Describe for Book < A > { fn describe(d : & mut
    ::capnweb::describe::Describer) -> ::capnweb::describe::Type { let arguments =
    ::std::vec![< A as ::capnweb::describe::Describe > ::describe(d)]; < Self as
    ::capnweb::describe::DescribeWith > ::describe_with(d, arguments) } }
    #[allow(deprecated, unused_mut, unused_variables, unused_imports, clippy::all,
    clippy::pedantic)] impl < A > ::capnweb::describe::DescribeWith for Book < A > { fn
    describe_with(d : & mut ::capnweb::describe::Describer, arguments : ::std::vec::Vec <
    ::capnweb::describe::Type >,) -> ::capnweb::describe::Type { use
    ::capnweb::describe:: { Described as _, DescribedWith as _, Undescribed as _ }; d
    .value(& ::capnweb::describe::Source { name : "Book", module :
    ::core::module_path!(), line : ::core::line!(), docs : &
    [" A book, or the promise of one."], deprecated : ::core::option::Option::None,
    parameters : & ["A"], }, arguments, | d | { let ty = { let mut fields =
    ::std::vec::Vec::new(); let mut with = ::std::vec::Vec::new(); { let ty = (&
    ::capnweb::describe::Probe:: < String > ::new()).found(d, | d | ::std::vec![], | d |
    ::capnweb::describe::Type::Unknown); fields
    .push(::capnweb::describe::Field::new("title", & [" The text on the cover."],
    ::core::option::Option::None, ty, false)); } { let ty =
    ::capnweb::describe::Type::Parameter { index : 0usize }; fields
    .push(::capnweb::describe::Field::new("writtenBy", & [],
    ::core::option::Option::None, ty, false)); } { let ty = { let of = (&
    ::capnweb::describe::Probe:: < String > ::new()).found(d, | d | ::std::vec![], | d |
    ::capnweb::describe::Type::Unknown); ::capnweb::describe::Type::nullable(of) };
    fields.push(::capnweb::describe::Field::new("ISBN", & [],
    ::core::option::Option::None, ty, true)); } ::capnweb::describe::Type::object(fields,
    with) }; ::capnweb::describe::Form::new(ty) }) } }
}
