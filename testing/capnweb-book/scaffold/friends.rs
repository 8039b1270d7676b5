struct Server;
impl Api for Server {
    async fn friend_ids(&self) -> capnweb::Result<Vec<u32>> {
        Ok(vec![3, 5, 8])
    }
    async fn name_of(&self, id: u32) -> capnweb::Result<String> {
        Ok(format!("friend {id}"))
    }
}
let api = ApiStub::new(Server);
