//! Parameters that take all remaining arguments.

use capnweb::{Promise, Result, Stub, interface};

use crate::support::here_and_there;

#[interface]
trait Logger {
    async fn log(&self, level: String, #[rpc(rest)] parts: Vec<String>) -> Result<String>;
    fn sum(&self, #[rpc(rest)] numbers: Vec<u32>) -> Result<u32>;
    #[rpc(strict)]
    async fn stubs(
        &self,
        first: Option<u32>,
        #[rpc(rest)] all_stubs: Vec<LoggerStub>,
    ) -> Result<usize>;
}

struct Joining;

impl Logger for Joining {
    async fn log(&self, level: String, parts: Vec<String>) -> Result<String> {
        Ok(format!("{level}: {}", parts.join(" ")))
    }

    fn sum(&self, numbers: Vec<u32>) -> Result<u32> {
        Ok(numbers.iter().sum())
    }

    async fn stubs(&self, first: Option<u32>, all_stubs: Vec<LoggerStub>) -> Result<usize> {
        let mut sum = 0;
        for stub in &all_stubs {
            sum += stub.sum([1, first.unwrap_or(0)]).await?;
        }
        Ok(all_stubs.len() + sum as usize)
    }
}

#[tokio::test]
async fn further_arguments_are_a_list() {
    here_and_there(LoggerStub::new(Joining), async |api| {
        // On the wire they are ordinary arguments.
        let logged = api.call("log", ("info", "a", "b"));
        assert_eq!(logged.fetch::<String>().await.unwrap(), "info: a b");
        assert_eq!(api.call("sum", ()).fetch::<u32>().await.unwrap(), 0);
        // Callers pass a list, which can contain promises and objects.
        assert_eq!(api.log("info", ["a", "b"]).await.unwrap(), "info: a b");
        assert_eq!(
            api.log("info", Vec::<String>::new()).await.unwrap(),
            "info: "
        );
        assert_eq!(api.sum(vec![1, 2, 3]).await.unwrap(), 6);
        assert_eq!(api.sum(&[1, 2][..]).await.unwrap(), 3);
        let promises: [Promise<u32>; 2] = [api.sum([1]), api.sum([2])];
        assert_eq!(api.sum(promises).await.unwrap(), 3);
        assert_eq!(api.stubs((), [Joining, Joining]).await.unwrap(), 4);
        assert_eq!(api.stubs(2, vec![api.clone()]).await.unwrap(), 4);
    })
    .await;
}

#[tokio::test]
async fn what_does_not_fit_is_counted() {
    let stub: Stub = capnweb::StubType::into_stub(LoggerStub::new(Joining));
    let error = stub.call("sum", (1, 2, "three")).await.unwrap_err();
    assert_eq!(
        error.message(),
        "sum: parameter `numbers[2]`: expected u32, got a string"
    );
    let error = stub.call("stubs", (1, 2)).await.unwrap_err();
    assert_eq!(
        error.message(),
        "stubs: parameter `allStubs[0]`: expected a stub, got a number \
         (in Rust: `all_stubs` of `Logger::stubs`)"
    );
}
