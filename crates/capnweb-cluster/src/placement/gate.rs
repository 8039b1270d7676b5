//! Gates, through which all calls on an object of this node pass.

use std::sync::Arc;

use capnweb_core::{Answer, Call, Get, Payload, Property, Stub, Target};

use super::active::{Active, Way, lost};
use crate::rights::Rights;

/// A method that every gate answers when all earlier calls are delivered.
pub(crate) const ECHO: &str = "$capnweb.echo";

/// Passes calls on to an object while it lives here, and after that to where it lives next.
pub(super) struct Gate {
    active: Arc<Active>,
    rights: Rights,
    /// The object with these rights.
    object: Stub,
}

impl Gate {
    pub(super) fn stub(active: Arc<Active>, rights: Rights, object: Stub) -> Stub {
        active.gates.send_modify(|gates| *gates += 1);
        Stub::new(Self {
            active,
            rights,
            object,
        })
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.active.gates.send_modify(|gates| *gates -= 1);
    }
}

impl Target for Gate {
    fn call(self: Arc<Self>, call: Call<'_>) -> Answer {
        match self.active.way(self.rights) {
            Way::Object(_) if call.method() == ECHO => Answer::ready(()),
            Way::Object(guard) => {
                let result = match call.method() {
                    "" => self.object.invoke(call.into_args()),
                    method => self.object.call(method, call.into_args()),
                };
                Answer::future(async move {
                    let result = result.fetch::<Payload>().await;
                    drop(guard);
                    result
                })
            }
            Way::Elsewhere(stub) => Answer::ready(match call.method() {
                "" => stub.invoke(call.into_args()),
                method => stub.call(method, call.into_args()),
            }),
            Way::Lost => {
                let lease = self.active.activation.lease().clone();
                Answer::future(async move {
                    // The session ends first, so that the caller does not take this for an answer.
                    lease.over().await;
                    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                    Err::<(), _>(lost())
                })
            }
        }
    }

    fn get(self: Arc<Self>, get: Get<'_>) -> Property {
        let stub = match self.active.way(self.rights) {
            Way::Object(_guard) => self.object.clone(),
            Way::Elsewhere(stub) => stub,
            Way::Lost => return Property::Value(Answer::error(lost())),
        };
        Property::Value(Answer::ready(stub.get(get.name())))
    }
}
