# The service of `main.rs`. `service.schema` is this file as Debian's `capnproto` parsed it, so that building takes
# no compiler of schemas. After a change write it anew:
#
#     capnp compile --output=- service.capnp > service.schema

@0xd7bbf0b54e5a2c7f;

interface Service {
  add @0 (a :Float64, b :Float64) -> (sum :Float64);
  echo @1 (bytes :Data) -> (bytes :Data);
  child @2 () -> (child :Service);
  value @3 () -> (level :UInt32);
}
