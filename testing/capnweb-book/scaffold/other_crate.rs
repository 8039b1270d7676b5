mod other_crate {
    pub type Version = (u32, u32);
}
