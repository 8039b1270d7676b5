use capnweb::{Result, interface, value};

struct User {
    name: String,
}

#[interface]
trait Api {
    async fn user(&self) -> Result<User>;
    async fn save(&self, user: User) -> Result<()>;
}

#[value]
struct Team {
    lead: User,
}

fn main() {}
