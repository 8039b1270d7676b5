//! `#[interface]`: generates a client and a server for a trait.

mod client;
mod description;
mod dispatch;
mod kind;
mod method;
mod params;
mod returns;
mod rpc;
mod supertraits;
mod target;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::{GenericParam, Item, ItemTrait, Path, TraitItem, parse_quote};

use self::{kind::Kind, method::Method, supertraits::Supertraits};
use crate::{
    attributes::{Carried, refuse_conditional, take_rpc},
    errors::Errors,
    options::{Options, unknown},
    parameters::{FreshNames, Parameters, mentions},
};

/// The trait, parsed.
struct Interface {
    krate: Path,
    /// The user's trait.
    item: ItemTrait,
    /// The attributes of the trait itself.
    carried: Carried,
    /// `FooStub`
    stub: Ident,
    /// The parameters for the stub's `impl`s. Every type is a `WireType`.
    data: Parameters,
    /// The parameters for `impl`s of the trait, with the user's bounds.
    plain: Parameters,
    fresh: FreshNames,
    supertraits: Supertraits,
    methods: Vec<Method>,
}

/// Expands `#[interface(options)] item`.
pub(crate) fn expand(options: TokenStream, tokens: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let options = Options::interface(options, &mut errors);
    let Some(mut item) = parse(&tokens, &mut errors) else {
        let errors = errors.into_tokens();
        return quote!(#errors #tokens);
    };
    let interface = Interface::read(&mut item, options, &mut errors);
    let target = target::as_written(&item);
    let Some(interface) = interface else {
        let errors = errors.into_tokens();
        return quote!(#errors #target);
    };
    let mut items = interface.client();
    items.push(interface.dispatch());
    // A trait with errors has methods that could not be forwarded.
    if errors.is_empty() {
        items.push(interface.forwarding());
    }
    let errors = errors.into_tokens();
    let cfgs = &interface.carried.cfgs;
    let cfgs = quote!(#(#cfgs)*);
    let description = interface.description();
    // Warnings about deprecations and names belong to the user's own code.
    quote! {
        #errors
        #target
        #(#cfgs #[allow(deprecated, non_snake_case)] #items)*
        #cfgs #description
    }
}

fn parse(tokens: &TokenStream, errors: &mut Errors) -> Option<ItemTrait> {
    let item = errors.take(syn::parse2(tokens.clone()))?;
    let no_trait = "`#[interface]` needs a trait, whose methods peers can call";
    let data = "`#[interface]` needs a trait; use `#[value]` for a type whose values are sent";
    let (at, what) = match item {
        Item::Trait(item) => return Some(item),
        Item::Struct(item) => (item.ident.span(), data),
        Item::Enum(item) => (item.ident.span(), data),
        Item::Impl(item) => (
            item.impl_token.span,
            "`#[interface]` belongs on the trait; an `impl` of it needs no attribute",
        ),
        Item::Fn(item) => (item.sig.ident.span(), no_trait),
        // This is syntax that starts like a trait but is not a plain one.
        Item::Verbatim(tokens) if mentions(tokens.clone(), "trait") => {
            let first = tokens.into_iter().next();
            (
                first.map_or_else(Span::call_site, |token| token.span()),
                "an interface must be a plain trait, with only its visibility before `trait`",
            )
        }
        _ => (Span::call_site(), no_trait),
    };
    errors.at_span(at, what);
    None
}

impl Interface {
    /// Reads the trait and removes its `rpc` attributes. Returns `None` for a trait that cannot be
    /// an interface at all. Methods with errors are left out.
    fn read(item: &mut ItemTrait, options: Options, errors: &mut Errors) -> Option<Self> {
        let of_trait = trait_options(item, errors);
        let strict = options.strict | of_trait.strict;
        let default = options.default | of_trait.default;
        let is_sound = refuse_kinds_of_traits(item, errors);
        let mut methods = Vec::new();
        for entry in &mut item.items {
            match entry {
                TraitItem::Fn(function) => {
                    let method = Method::read(function, strict, errors);
                    if let Some(method) = &method
                        && (default || method.has_default)
                    {
                        target::give_default(function, method, &options.krate);
                    }
                    methods.extend(method);
                }
                other => refuse_entry(other, errors),
            }
        }
        refuse_double_names(&methods, errors);
        if !is_sound {
            return None;
        }
        let krate = options.krate;
        let data = parse_quote!(#krate::macro_support::WireType);
        Some(Self {
            carried: Carried::of(&item.attrs),
            stub: format_ident!("{}Stub", item.ident),
            data: Parameters::new(&item.generics, Some(&data)),
            plain: Parameters::new(&item.generics, None),
            fresh: FreshNames::beside(item.to_token_stream()),
            supertraits: Supertraits::read(&item.supertraits),
            item: item.clone(),
            methods,
            krate,
        })
    }

    /// Returns the catch-all method.
    fn catch_all(&self) -> Option<&Method> {
        let mut methods = self.methods.iter();
        methods.find(|method| matches!(method.kind, Kind::CatchAll))
    }

    /// Returns `Foo<K>`: the user's trait with its parameters.
    fn applied_trait(&self) -> TokenStream {
        let (name, arguments) = (&self.item.ident, self.plain.application());
        quote!(#name #arguments)
    }

    /// Returns `FooStub<K>`.
    fn applied_stub(&self) -> TokenStream {
        let (name, arguments) = (&self.stub, self.data.application());
        quote!(#name #arguments)
    }
}

/// The options of `#[rpc(…)]` on a trait.
#[derive(Default)]
struct TraitOptions {
    strict: bool,
    default: bool,
}

/// Reads `#[rpc(…)]` on the trait.
fn trait_options(item: &mut ItemTrait, errors: &mut Errors) -> TraitOptions {
    refuse_conditional(&mut item.attrs, errors);
    let mut options = TraitOptions::default();
    for attr in take_rpc(&mut item.attrs) {
        let read = attr.parse_nested_meta(|meta| {
            if meta.path.is_ident("strict") {
                options.strict = true;
                Ok(())
            } else if meta.path.is_ident("default") {
                options.default = true;
                Ok(())
            } else {
                Err(unknown(&meta, "a trait", "use `strict` or `default`"))
            }
        });
        errors.take(read);
    }
    options
}

/// Refuses traits that cannot be interfaces. Returns true if there is nothing to refuse.
fn refuse_kinds_of_traits(item: &ItemTrait, errors: &mut Errors) -> bool {
    let mut is_sound = true;
    if let Some(token) = &item.unsafety {
        errors.at(
            token,
            "an interface cannot be `unsafe`: peers choose the arguments",
        );
    }
    if let Some(token) = &item.modifiers.auto_token {
        errors.at(
            token,
            "an interface cannot be an `auto` trait, because it has methods",
        );
        is_sound = false;
    }
    for param in &item.generics.params {
        if let GenericParam::Lifetime(param) = param {
            errors.at(
                param,
                "an interface cannot have lifetime parameters: its objects live as long as peers \
                 hold them, and received values are owned",
            );
            is_sound = false;
        }
    }
    is_sound
}

fn refuse_entry(entry: &TraitItem, errors: &mut Errors) {
    match entry {
        TraitItem::Type(ty) => errors.at(
            ty,
            format!(
                "an interface can only have methods, because peers do not know Rust types; if \
                 implementations differ in a type, make it a parameter: `trait …<{}>`",
                ty.ident
            ),
        ),
        TraitItem::Const(constant) => errors.at(
            constant,
            "an interface can only have methods; for a constant that peers can read, write \
             `#[rpc(get)] fn …(&self) -> Result<…>`",
        ),
        TraitItem::Macro(mac) => errors.at(
            mac,
            "a macro cannot generate methods of an interface, because `#[interface]` is expanded \
             first; write the methods out, or let the macro generate the whole trait",
        ),
        other => errors.at(other, "an interface can only have methods"),
    }
}

fn refuse_double_names(methods: &[Method], errors: &mut Errors) {
    for (at, method) in methods.iter().enumerate() {
        // Methods under different `cfg`s may share a name.
        let clashes = |other: &&Method| {
            other.wire == method.wire
                && !matches!(other.kind, Kind::CatchAll)
                && (other.carried.cfgs.is_empty() || method.carried.cfgs.is_empty())
        };
        match method.kind {
            Kind::CatchAll => {
                let mut earlier = methods[..at].iter();
                if let Some(other) = earlier.find(|other| matches!(other.kind, Kind::CatchAll)) {
                    errors.at(
                        &method.ident,
                        format!(
                            "there can be only one catch-all, which is already `{}`",
                            other.ident
                        ),
                    );
                }
            }
            Kind::Method | Kind::Property => {
                if let Some(other) = methods[..at].iter().find(clashes) {
                    errors.at_span(
                        method.wire_span,
                        format!(
                            "`{}` is already the wire name of `{}`; rename one of them with \
                             `#[rpc(name = \"…\")]`",
                            method.wire, other.ident
                        ),
                    );
                }
            }
        }
    }
}
