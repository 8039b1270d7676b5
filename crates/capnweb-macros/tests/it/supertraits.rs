//! Interfaces with supertraits.

use std::{fmt::Debug, sync::Arc};

use capnweb::{Promise, Result, Stub, StubType, Value, interface, value};

use crate::support::here_and_there;

mod base {
    use super::*;

    #[interface]
    pub(crate) trait Named {
        async fn name(&self) -> Result<String>;
        async fn rename(&self, other: NamedStub) -> Result<String>;
        #[rpc(get)]
        fn initial(&self) -> Result<char>;
        /// Both interfaces have this method. That of the first supertrait is called.
        async fn shared(&self) -> Result<u32>;
    }
}

#[interface]
trait Aged<A> {
    async fn age(&self) -> Result<A>;
    async fn shared(&self) -> Result<u32>;
}

#[interface]
trait Person: base::Named + Aged<u32> + Debug + Send {
    async fn describe(&self) -> Result<String>;
}

#[interface]
trait Employee: Person {
    async fn salary(&self) -> Result<u32>;
    #[rpc(catch_all)]
    async fn perform(&self, task: String, args: Vec<Value>) -> Result<String>;
}

#[derive(Debug)]
struct Ada;

impl base::Named for Ada {
    async fn name(&self) -> Result<String> {
        Ok("Ada".to_owned())
    }

    async fn rename(&self, other: base::NamedStub) -> Result<String> {
        other.name().await
    }

    fn initial(&self) -> Result<char> {
        Ok('A')
    }

    async fn shared(&self) -> Result<u32> {
        Ok(1)
    }
}

impl Aged<u32> for Ada {
    async fn age(&self) -> Result<u32> {
        Ok(36)
    }

    async fn shared(&self) -> Result<u32> {
        Ok(2)
    }
}

impl Person for Ada {
    async fn describe(&self) -> Result<String> {
        Ok(format!(
            "{}, {}",
            base::Named::name(self).await?,
            self.age().await?
        ))
    }
}

impl Employee for Ada {
    async fn salary(&self) -> Result<u32> {
        Ok(100)
    }

    async fn perform(&self, task: String, args: Vec<Value>) -> Result<String> {
        Ok(format!("{task} {}", args.len()))
    }
}

#[tokio::test]
async fn methods_of_supertraits_are_answered() {
    here_and_there(PersonStub::new(Ada), |person| async move {
        assert_eq!(person.describe().await.unwrap(), "Ada, 36");
        // The stub has the methods of the first supertrait. Those of the others need a conversion.
        assert_eq!(person.name().await.unwrap(), "Ada");
        assert_eq!(person.initial().await.unwrap(), 'A');
        assert_eq!(AgedStub::from(&person).age().await.unwrap(), 36);
        assert_eq!(
            base::NamedStub::from(person.clone())
                .shared()
                .await
                .unwrap(),
            1
        );
        assert_eq!(
            person.get("age").invoke(()).fetch::<u32>().await.unwrap(),
            36
        );
        let unknown = person.call("salary", ()).await.unwrap_err();
        assert_eq!(unknown.message(), "'salary' is not a function.");
        assert!(matches!(person.get("salary").await, Ok(Value::Undefined)));
    })
    .await;
}

#[tokio::test]
async fn supertraits_have_supertraits_and_a_catch_all_comes_last() {
    here_and_there(EmployeeStub::new(Arc::new(Ada)), |employee| async move {
        assert_eq!(employee.salary().await.unwrap(), 100);
        assert_eq!(employee.describe().await.unwrap(), "Ada, 36");
        assert_eq!(employee.name().await.unwrap(), "Ada");
        assert_eq!(employee.initial().await.unwrap(), 'A');
        assert_eq!(employee.perform("sing", (1,)).await.unwrap(), "sing 1");
        assert_eq!(employee.call("age", ()).fetch::<u32>().await.unwrap(), 36);
        let bound = employee.get("dance").invoke(()).fetch::<String>();
        assert_eq!(bound.await.unwrap(), "dance 0");
    })
    .await;
}

#[interface]
trait Catcher {
    #[rpc(catch_all)]
    async fn caught(&self, method: String, args: Vec<Value>) -> Result<String>;
}

#[interface]
trait Sibling {
    async fn own(&self) -> Result<String>;
    #[rpc(get)]
    fn property(&self) -> Result<String>;
}

#[interface]
trait Both: Catcher + Sibling {
    async fn both(&self) -> Result<String>;
}

struct Twofold;

impl Catcher for Twofold {
    async fn caught(&self, method: String, args: Vec<Value>) -> Result<String> {
        Ok(format!("caught {method} with {}", args.len()))
    }
}

impl Sibling for Twofold {
    async fn own(&self) -> Result<String> {
        Ok("own".to_owned())
    }

    fn property(&self) -> Result<String> {
        Ok("property".to_owned())
    }
}

impl Both for Twofold {
    async fn both(&self) -> Result<String> {
        Ok("both".to_owned())
    }
}

#[tokio::test]
async fn a_supertraits_catch_all_gets_only_unclaimed_names() {
    here_and_there(BothStub::new(Twofold), |both| async move {
        let sibling = SiblingStub::from(&both);
        assert_eq!(sibling.own().await.unwrap(), "own");
        assert_eq!(sibling.property().await.unwrap(), "property");
        assert_eq!(both.both().await.unwrap(), "both");
        assert_eq!(both.caught("x", (1, 2)).await.unwrap(), "caught x with 2");
        let bound = both.get("y").invoke(()).fetch::<String>();
        assert_eq!(bound.await.unwrap(), "caught y with 0");
    })
    .await;
}

#[tokio::test]
async fn a_stub_stands_in_for_those_of_its_supertraits() {
    here_and_there(PersonStub::new(Ada), |person| async move {
        assert_eq!(person.rename(&person).await.unwrap(), "Ada");
        assert_eq!(person.rename(person.clone()).await.unwrap(), "Ada");
        assert_eq!(person.rename(Ada).await.unwrap(), "Ada");
        // A promise of the stub works too.
        let promise: Promise<PersonStub> = Promise::ready(Ada);
        assert_eq!(person.rename(&promise).await.unwrap(), "Ada");
        assert_eq!(person.rename(promise).await.unwrap(), "Ada");
        let named: base::NamedStub = (&person).into();
        assert_eq!(person.rename(named).await.unwrap(), "Ada");
    })
    .await;
}

#[tokio::test]
async fn one_object_is_handed_out_as_two_interfaces() {
    let ada = Arc::new(Ada);
    let named = base::NamedStub::new(ada.clone());
    let aged = AgedStub::<u32>::new(ada);
    here_and_there(named, |named| async move {
        assert_eq!(named.name().await.unwrap(), "Ada");
        assert_eq!(named.shared().await.unwrap(), 1);
        assert!(named.call("age", ()).await.is_err());
    })
    .await;
    here_and_there(aged, |aged| async move {
        assert_eq!(aged.age().await.unwrap(), 36);
        assert_eq!(aged.shared().await.unwrap(), 2);
        assert!(aged.call("name", ()).await.is_err());
    })
    .await;
}

#[test]
fn typed_stubs_have_debug_and_identity() {
    let person = PersonStub::from_stub(Stub::function(async || Ok(())));
    assert_eq!(format!("{person:?}"), "PersonStub(Stub(local))");
    assert!(person.is_same(person.clone().as_stub()));
}

#[interface]
trait Net {
    #[rpc(catch_all)]
    async fn caught(&self, method: String, args: Value) -> Result<String>;
}

#[interface]
trait Combined: Net + Labeled {
    async fn own(&self) -> Result<u32>;
}

#[interface]
trait Labeled {
    async fn label(&self) -> Result<String>;
    #[rpc(get)]
    fn size(&self) -> Result<u32>;
}

/// Its own catch-all takes precedence over a supertrait's.
#[interface]
trait Nearer: Combined {
    #[rpc(catch_all)]
    async fn near(&self, method: String, args: Value) -> Result<u32>;
}

impl Net for Ada {
    async fn caught(&self, method: String, _args: Value) -> Result<String> {
        Ok(format!("caught `{method}`"))
    }
}

impl Labeled for Ada {
    async fn label(&self) -> Result<String> {
        Ok("label".to_owned())
    }

    fn size(&self) -> Result<u32> {
        Ok(3)
    }
}

impl Combined for Ada {
    async fn own(&self) -> Result<u32> {
        Ok(1)
    }
}

impl Nearer for Ada {
    async fn near(&self, method: String, _args: Value) -> Result<u32> {
        Ok(u32::try_from(method.len()).unwrap())
    }
}

#[tokio::test]
async fn named_methods_of_any_supertrait_precede_catch_alls() {
    here_and_there(CombinedStub::new(Ada), |both| async move {
        assert_eq!(both.own().await.unwrap(), 1);
        let labeled = LabeledStub::from(&both);
        assert_eq!(labeled.label().await.unwrap(), "label");
        assert_eq!(labeled.size().await.unwrap(), 3);
        let bound = both.get("label").invoke(()).fetch::<String>();
        assert_eq!(bound.await.unwrap(), "label");
        let caught = both.call("dance", ()).fetch::<String>();
        assert_eq!(caught.await.unwrap(), "caught `dance`");
        let bound = both.get("dance").invoke(()).fetch::<String>();
        assert_eq!(bound.await.unwrap(), "caught `dance`");
        // The object itself is called as a function.
        let itself = both.as_stub().invoke(()).fetch::<String>();
        assert_eq!(itself.await.unwrap(), "caught ``");
    })
    .await;
    here_and_there(NearerStub::new(Ada), |nearer| async move {
        assert_eq!(nearer.own().await.unwrap(), 1);
        assert_eq!(nearer.get("size").fetch::<u32>().await.unwrap(), 3);
        assert_eq!(nearer.call("dance", ()).fetch::<u32>().await.unwrap(), 5);
    })
    .await;
}

#[interface]
trait Registry {
    async fn person(&self) -> Result<PersonStub>;
    async fn greet(&self, named: base::NamedStub) -> Result<String>;
    async fn greet_boxed(&self, named: Boxed<base::NamedStub>) -> Result<String>;
}

#[value]
struct Boxed<N> {
    inside: N,
}

struct Office;

impl Registry for Office {
    async fn person(&self) -> Result<PersonStub> {
        Ok(PersonStub::new(Ada))
    }

    async fn greet(&self, named: base::NamedStub) -> Result<String> {
        Ok(format!("Hello {}", named.name().await?))
    }

    async fn greet_boxed(&self, named: Boxed<base::NamedStub>) -> Result<String> {
        self.greet(named.inside).await
    }
}

#[tokio::test]
async fn a_promise_of_a_stub_stands_in_for_those_of_its_supertraits() {
    here_and_there(RegistryStub::new(Office), |registry| async move {
        let person = registry.person();
        assert_eq!(registry.greet(&person).await.unwrap(), "Hello Ada");
        assert_eq!(registry.greet(person.clone()).await.unwrap(), "Hello Ada");
        let inside = Boxed { inside: person };
        assert_eq!(registry.greet_boxed(inside).await.unwrap(), "Hello Ada");
        let inside = Boxed {
            inside: PersonStub::new(Ada),
        };
        assert_eq!(registry.greet_boxed(&inside).await.unwrap(), "Hello Ada");
    })
    .await;
}

mod same_names {
    /// Its path shows that it is not the standard library's.
    #[capnweb::interface]
    pub(crate) trait Display {
        async fn shown(&self) -> capnweb::Result<u32>;
    }
}

#[interface]
trait Screen: same_names::Display + Debug {
    async fn off(&self) -> Result<()>;
}

impl same_names::Display for Ada {
    async fn shown(&self) -> Result<u32> {
        Ok(4)
    }
}

impl Screen for Ada {
    async fn off(&self) -> Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn an_interface_may_be_called_as_a_standard_trait() {
    here_and_there(ScreenStub::new(Ada), |screen| async move {
        assert_eq!(screen.shown().await.unwrap(), 4);
    })
    .await;
}
