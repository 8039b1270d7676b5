//! Typed arrays and other containers of bytes.

use capnweb::{
    Bytes, Value,
    typed::{Binary, Container, TypedArray},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    check::{Checks, Outcome, Over, ensure_eq},
    peer::Peer,
};

/// All containers. Eight bytes are valid for all element sizes.
const CONTAINERS: [Container; 12] = [
    Container::ArrayBuffer,
    Container::DataView,
    Container::Int8Array,
    Container::Uint8ClampedArray,
    Container::Int16Array,
    Container::Uint16Array,
    Container::Int32Array,
    Container::Uint32Array,
    Container::BigInt64Array,
    Container::BigUint64Array,
    Container::Float32Array,
    Container::Float64Array,
];

pub(super) fn checks(checks: &mut Checks) {
    checks.add(
        "typed bytes: every container is what the peer sees, and comes back",
        Over::BOTH,
        |peer| async move {
            let bytes = [1_u8, 2, 3, 4, 5, 6, 7, 8];
            let all: Vec<Value> = CONTAINERS
                .into_iter()
                .filter_map(|container| Binary::new(container, bytes).ok())
                .map(Value::from)
                .collect();
            ensure_eq!(all.len(), CONTAINERS.len());
            let probe = peer.probe();
            let seen = probe.call("describe", (&all,)).fetch::<String>();
            let decoded = probe.call("decode", (&all,)).fetch::<Vec<Value>>();
            let echoed = peer.api().call("echo", (&all,)).fetch::<Vec<Value>>();
            let (seen, decoded, echoed) = tokio::try_join!(seen, decoded, echoed)?;
            let expected =
                CONTAINERS.map(|container| format!("{} 0102030405060708", container.name()));
            ensure_eq!(seen, format!("[{}]", expected.join(", ")));
            ensure_eq!(decoded, all);
            ensure_eq!(echoed, all);
            Ok(())
        },
    );

    checks.add(
        "typed bytes: numbers of every type",
        Over::WS,
        |peer| async move {
            crosses(&peer, "Int8Array ff7f", vec![-1_i8, 127]).await?;
            crosses(&peer, "bytes ff00", vec![255_u8, 0]).await?;
            crosses(&peer, "Int16Array feff", vec![-2_i16]).await?;
            crosses(&peer, "Uint16Array ffff", vec![u16::MAX]).await?;
            crosses(&peer, "Int32Array 00000080", vec![i32::MIN]).await?;
            crosses(&peer, "Uint32Array 01000000", vec![1_u32]).await?;
            crosses(&peer, "BigInt64Array 0000000000000080", vec![i64::MIN]).await?;
            crosses(&peer, "BigUint64Array ffffffffffffffff", vec![u64::MAX]).await?;
            crosses(&peer, "Float32Array 0000c03f", vec![1.5_f32]).await?;
            crosses(&peer, "Float64Array 000000000000f03f", vec![1.0_f64]).await?;
            crosses::<f64>(&peer, "Float64Array ", Vec::new()).await
        },
    );

    checks.add(
        "typed bytes: a typed array is a list, or bytes, to who asks for that",
        Over::BOTH,
        |peer| async move {
            let array = TypedArray(vec![1_u16, 515]);
            let api = peer.api();
            let list = api.call("echo", (&array,)).fetch::<Vec<u16>>();
            let bytes = api.call("echo", (&array,)).fetch::<Bytes>();
            let (list, bytes) = tokio::try_join!(list, bytes)?;
            ensure_eq!(list, [1, 515]);
            ensure_eq!(bytes, [1_u8, 0, 3, 2][..]);
            Ok(())
        },
    );
}

/// Checks that the peer sees these numbers as expected and returns them.
async fn crosses<T>(peer: &Peer, seen: &str, numbers: Vec<T>) -> Outcome
where
    T: capnweb::typed::Element + Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
    T: Send + 'static,
{
    let array = TypedArray(numbers);
    let there = peer.probe().call("describe", (&array,)).fetch::<String>();
    let back = peer
        .probe()
        .call("decode", (&array,))
        .fetch::<TypedArray<T>>();
    let (there, back) = tokio::try_join!(there, back)?;
    ensure_eq!(there, seen);
    ensure_eq!(back, array);
    Ok(())
}
