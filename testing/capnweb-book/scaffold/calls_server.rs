struct Server;
impl Api for Server {
    async fn authenticate(&self, token: String) -> capnweb::Result<SessionStub> {
        let name = token.trim_start_matches("token-of-").to_owned();
        Ok(SessionStub::new(Named(name)))
    }
    async fn greet(&self, name: String) -> capnweb::Result<String> {
        Ok(format!("Hello, {name}!"))
    }
}
struct Named(String);
impl Session for Named {
    async fn get_user_name(&self) -> capnweb::Result<String> {
        Ok(self.0.clone())
    }
}
let api = ApiStub::new(Server);
