//! Error types of the application: their wire format, and the errors that callers receive.

use capnweb::{Callback, Context, Error, Object, Promise, Result, Stub, interface, join_all};

use crate::support::{connect, here_and_there};

#[capnweb::error]
#[derive(Debug, thiserror::Error)]
enum BankError {
    #[error("there are only {balance} left")]
    InsufficientFunds {
        balance: u32,
        retry_after: Option<u32>,
    },
    #[error("no such account: {account}")]
    #[rpc(code = "not_found", name = "RangeError")]
    NoAccount {
        #[rpc(name = "iban")]
        account: String,
    },
    #[error("no such branch")]
    #[rpc(code = "not_found")]
    NoBranch,
    #[error("closed: {message}")]
    Closed { message: String },
    #[error("the ledger is damaged")]
    #[rpc(internal)]
    Ledger(#[from] std::io::Error),
    #[error("nobody knows why")]
    #[rpc(internal)]
    Unknown,
    #[error(transparent)]
    #[rpc(other)]
    Other(Error),
}

#[interface]
trait Bank {
    async fn withdraw(&self, kind: String) -> Result<u32, BankError>;
    fn withdraw_now(&self, kind: String) -> Result<u32, BankError>;
    fn promised(&self, kind: String) -> Promise<u32, BankError>;
    async fn later(&self, kind: String) -> Result<Promise<u32>, BankError>;
    #[rpc(cancel_on_release)]
    async fn cancelable(&self, kind: String) -> Result<u32, BankError>;
    async fn account(&self, kind: String) -> Result<AccountStub, BankError>;
    async fn notify(&self, listener: Callback<u32, u32>) -> Result<(), BankError>;
    async fn take(&self, n: u32, account: AccountStub) -> Result<u32>;
    #[rpc(get)]
    async fn rate(&self, context: &Context) -> Result<u32, BankError>;
    #[rpc(catch_all)]
    async fn anything(&self, method: String, args: Vec<u32>) -> Result<u32, BankError>;
}

#[interface]
trait Account {
    async fn balance(&self) -> Result<u32, BankError>;
}

#[interface]
trait Savings: Account {
    async fn savings(&self) -> Result<SavingsStub, BankError>;
}

fn fail<T>(kind: &str) -> Result<T, BankError> {
    Err(match kind {
        "funds" => BankError::InsufficientFunds {
            balance: 5,
            retry_after: None,
        },
        "account" => BankError::NoAccount {
            account: "DE1".to_owned(),
        },
        "branch" => BankError::NoBranch,
        "closed" => BankError::Closed {
            message: "on holiday".to_owned(),
        },
        "ledger" => std::io::Error::other("secret").into(),
        "unknown" => BankError::Unknown,
        "forbidden" => Error::permission_denied("not you").into(),
        _ => Error::new(format!("no such kind: {kind}")).into(),
    })
}

struct Broke;

impl Account for Broke {
    async fn balance(&self) -> Result<u32, BankError> {
        fail("funds")
    }
}

impl Savings for Broke {
    async fn savings(&self) -> Result<SavingsStub, BankError> {
        Ok(SavingsStub::new(Broke))
    }
}

impl Bank for Broke {
    async fn withdraw(&self, kind: String) -> Result<u32, BankError> {
        tokio::task::yield_now().await;
        fail(&kind)
    }

    fn withdraw_now(&self, kind: String) -> Result<u32, BankError> {
        fail(&kind)
    }

    fn promised(&self, kind: String) -> Promise<u32, BankError> {
        BankStub::new(Broke).withdraw(kind)
    }

    async fn later(&self, kind: String) -> Result<Promise<u32>, BankError> {
        fail(&kind)
    }

    async fn cancelable(&self, kind: String) -> Result<u32, BankError> {
        fail(&kind)
    }

    async fn account(&self, kind: String) -> Result<AccountStub, BankError> {
        fail(&kind)
    }

    async fn notify(&self, listener: Callback<u32, u32>) -> Result<(), BankError> {
        // An error of the peer is passed on, or becomes one of ours.
        listener.call(1).await?;
        Ok(())
    }

    async fn take(&self, n: u32, account: AccountStub) -> Result<u32> {
        Ok(n + account.balance().await?)
    }

    async fn rate(&self, _: &Context) -> Result<u32, BankError> {
        fail("branch")
    }

    async fn anything(&self, method: String, _: Vec<u32>) -> Result<u32, BankError> {
        fail(&method)
    }
}

#[tokio::test]
async fn callers_get_the_variant_that_was_returned() {
    here_and_there(BankStub::new(Broke), async |bank| {
        let funds = |error| {
            matches!(
                error,
                BankError::InsufficientFunds {
                    balance: 5,
                    retry_after: None
                }
            )
        };
        assert!(funds(bank.withdraw("funds").await.unwrap_err()));
        assert!(funds(bank.withdraw_now("funds").await.unwrap_err()));
        assert!(funds(bank.promised("funds").await.unwrap_err()));
        assert!(funds(bank.later("funds").await.unwrap_err()));
        assert!(funds(bank.cancelable("funds").await.unwrap_err()));
        assert!(funds(bank.anything("funds", (1,)).await.unwrap_err()));
        assert!(matches!(bank.rate().await, Err(BankError::NoBranch)));
        assert!(matches!(
            bank.withdraw("account").await,
            Err(BankError::NoAccount { account }) if account == "DE1"
        ));
        assert!(matches!(
            bank.withdraw("branch").await,
            Err(BankError::NoBranch)
        ));
        // The message of an error is the output of `Display`, once.
        let closed = bank.withdraw("closed").await.unwrap_err();
        assert!(matches!(
            closed,
            BankError::Closed { message } if message == "closed: on holiday"
        ));
    })
    .await;
}

#[tokio::test]
async fn all_other_errors_are_the_other_variant() {
    here_and_there(BankStub::new(Broke), async |bank| {
        for (kind, code, message) in [
            ("forbidden", Some("permission_denied"), "not you"),
            ("nonsense", None, "no such kind: nonsense"),
            ("ledger", Some("internal"), "internal error"),
            ("unknown", Some("internal"), "internal error"),
        ] {
            let Err(BankError::Other(error)) = bank.withdraw(kind).await else {
                panic!("{kind}");
            };
            assert_eq!((error.code().as_deref(), error.message()), (code, message));
        }
        // A result of the wrong type is such an error.
        let wrong = bank.call("withdraw", (1,)).await.unwrap_err();
        assert!(matches!(wrong.into(), BankError::Other(error) if error.is_type_error()));
    })
    .await;
    let (bank, connected) = connect::<BankStub>(BankStub::new(Broke));
    let session = bank.session().unwrap();
    session.close(Error::new("gone"));
    let Err(BankError::Other(error)) = bank.withdraw("funds").await else {
        panic!("the session is over");
    };
    assert!(error.is_disconnected());
    drop(connected);
}

#[tokio::test]
async fn what_crosses_is_an_error_with_code_and_properties() {
    here_and_there(BankStub::new(Broke), async |bank| {
        let error = bank.call("withdraw", ("funds",)).await.unwrap_err();
        assert_eq!(error.to_string(), "there are only 5 left");
        assert_eq!(error.code().as_deref(), Some("insufficient_funds"));
        assert_eq!(error.prop::<u32>("balance"), Some(5));
        assert_eq!(error.prop::<Option<u32>>("retryAfter"), Some(None));
        let error = bank.call("withdraw", ("account",)).await.unwrap_err();
        assert_eq!(error.name(), "RangeError");
        assert_eq!(error.code().as_deref(), Some("not_found"));
        assert_eq!(error.prop::<String>("iban").as_deref(), Some("DE1"));
        let error = bank.call("withdraw", ("closed",)).await.unwrap_err();
        assert_eq!(error.prop::<String>("message"), None);
    })
    .await;
}

#[tokio::test]
async fn promises_with_error_types_are_promises() {
    here_and_there(BankStub::new(Broke), async |bank| {
        // Promises can be arguments, and can be cloned, cast, joined and pipelined on.
        let n = bank.withdraw("branch");
        let error = bank.take(&n, bank.account("branch")).await.unwrap_err();
        assert!(matches!(BankError::from(error), BankError::NoBranch));
        let error = bank.take(n.clone(), Broke).await.unwrap_err();
        assert!(matches!(error.into(), BankError::NoBranch));
        let balance = bank.account("closed").balance().await;
        assert!(matches!(balance, Err(BankError::Closed { .. })));
        let [Err(BankError::NoBranch), Err(BankError::Closed { .. })] =
            &join_all([n.clone(), bank.withdraw("closed")]).await[..]
        else {
            panic!("both fail as they should");
        };
        assert!(Promise::cast::<u32>(n).await.is_err());
        // A promise of a stub is accepted for its supertrait's stub.
        let savings = SavingsStub::new(Broke);
        let error = bank.take(1, savings.savings()).await.unwrap_err();
        assert_eq!(error.code().as_deref(), Some("insufficient_funds"));
        let error = bank.take(1, &savings.savings()).await.unwrap_err();
        assert_eq!(error.code().as_deref(), Some("insufficient_funds"));
    })
    .await;
}

#[tokio::test]
async fn errors_pass_through_handlers() {
    here_and_there(BankStub::new(Broke), async |bank| {
        let failing = |_: u32| {
            let error = BankError::InsufficientFunds {
                balance: 1,
                retry_after: Some(3),
            };
            Err::<u32, Error>(error.into())
        };
        assert!(matches!(
            bank.notify(failing).await,
            Err(BankError::InsufficientFunds {
                balance: 1,
                retry_after: Some(3)
            })
        ));
    })
    .await;
}

/// Errors thrown by JavaScript or by another version.
#[test]
fn an_error_is_of_the_variant_whose_code_and_fields_it_has() {
    let read = |error: Error| BankError::from(error);
    // JavaScript does not know every error name.
    let plain = Error::new("m")
        .with_code("not_found")
        .with_prop("iban", "DE1");
    assert!(matches!(read(plain), BankError::NoAccount { .. }));
    let range = Error::range_error("m").with_code("not_found");
    assert!(matches!(read(range), BankError::NoBranch));
    let wrong_type = Error::new("m")
        .with_code("insufficient_funds")
        .with_prop("balance", "five");
    assert!(matches!(read(wrong_type), BankError::Other(_)));
    let more = Error::new("m")
        .with_code("insufficient_funds")
        .with_prop("balance", 5)
        .with_prop("more", true);
    assert!(matches!(read(more), BankError::InsufficientFunds { .. }));
    assert!(matches!(
        read(Error::new("m").with_prop("code", 5)),
        BankError::Other(_)
    ));
}

/// Messages without thiserror, and fields named like local variables of the expansion.
#[capnweb::error]
#[derive(Debug)]
enum Written {
    #[rpc(message = "{f} of {error}", code = "locals")]
    Locals {
        f: u32,
        error: u32,
        read: u32,
        found: u32,
    },
    NoMessage,
    #[rpc(message = "{0} is secret", internal)]
    Internal(u32),
    #[cfg(any())]
    Never {
        what: NoSuchType,
    },
    #[rpc(other)]
    Other(Error),
}

#[test]
fn messages_can_be_written_without_thiserror() {
    use std::error::Error as _;
    let locals = Written::Locals {
        f: 1,
        error: 2,
        read: 3,
        found: 4,
    };
    let locals = Error::from(locals);
    assert_eq!(locals.message(), "1 of 2");
    assert!(matches!(
        locals.into(),
        Written::Locals {
            f: 1,
            error: 2,
            read: 3,
            found: 4
        }
    ));
    let no_message = Error::from(Written::NoMessage);
    assert_eq!(no_message.message(), "no message");
    assert_eq!(no_message.code().as_deref(), Some("no_message"));
    assert_eq!(Written::Internal(7).to_string(), "7 is secret");
    assert_eq!(
        Error::from(Written::Internal(7)).message(),
        "internal error"
    );
    assert_eq!(Written::Other(Error::new("other")).to_string(), "other");
    assert!(Written::NoMessage.source().is_none());
}

#[interface]
trait Pages<K> {
    async fn page(&self, key: K) -> Result<K, Written>;
}

impl Pages<u32> for Broke {
    async fn page(&self, key: u32) -> Result<u32, Written> {
        match key {
            0 => Err(Written::NoMessage),
            key => Ok(key),
        }
    }
}

#[tokio::test]
async fn generic_interfaces_have_error_types_too() {
    here_and_there(PagesStub::new(Broke), async |pages: PagesStub<u32>| {
        assert_eq!(pages.page(3).await.unwrap(), 3);
        assert!(matches!(pages.page(0).await, Err(Written::NoMessage)));
    })
    .await;
}

/// A type with handwritten conversions both ways is an error type too, and `Result` may be an
/// alias.
#[derive(Debug)]
struct ByHand(String);

impl From<ByHand> for Error {
    fn from(error: ByHand) -> Self {
        Self::new(error.0)
    }
}

impl From<Error> for ByHand {
    fn from(error: Error) -> Self {
        Self(error.message().to_owned())
    }
}

mod aliased {
    pub(super) type Result<T> = std::result::Result<T, super::ByHand>;
}

#[interface]
trait Manual {
    async fn explicit(&self) -> Result<u32, ByHand>;
    async fn aliased(&self) -> aliased::Result<u32>;
}

impl Manual for Broke {
    async fn explicit(&self) -> Result<u32, ByHand> {
        Err(ByHand("explicit".to_owned()))
    }

    async fn aliased(&self) -> aliased::Result<u32> {
        Err(ByHand("aliased".to_owned()))
    }
}

#[tokio::test]
async fn conversions_can_be_written_by_hand() {
    here_and_there(ManualStub::new(Broke), async |api| {
        assert_eq!(api.explicit().await.unwrap_err().0, "explicit");
        assert_eq!(api.aliased().await.unwrap_err().message(), "aliased");
    })
    .await;
    let object = Object::new().method("explicit", async || Err::<u32, _>(Error::new("dynamic")));
    let stub: Stub = object.into_stub();
    assert_eq!(
        stub.call("explicit", ()).await.unwrap_err().message(),
        "dynamic"
    );
}

#[test]
fn a_call_that_has_not_run_is_no_error_of_the_application() {
    for (error, may_have_run) in [
        (Error::new("closed").with_code("closed"), true),
        (Error::disconnected("gone").with_code("closed"), false),
        (Error::disconnected("gone"), false),
    ] {
        let error = error.with_may_have_run(may_have_run);
        let typed = BankError::from(error);
        match &typed {
            BankError::Closed { .. } => assert!(may_have_run),
            BankError::Other(error) => assert_eq!(error.may_have_run(), may_have_run),
            other => panic!("{other:?}"),
        }
        if !may_have_run {
            assert!(!Error::from(typed).may_have_run());
        }
    }
}
