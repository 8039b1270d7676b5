//! The server's side of the tour.

use std::sync::{Mutex, PoisonError};

use capnweb::{Callback, Error, Promise, Result};

use super::{Authed, AuthedStub, ListenerStub, Meeting, Profile, Team, Tour, TourStub};
use crate::commons::{Member, Population};

/// All users, with IDs that start at 1. The token of a user is the name.
const USERS: [(&str, bool); 4] = [
    ("Ada", true),
    ("Grace", true),
    ("Linus", false),
    ("Barbara", true),
];

/// Returns the tour of one connection.
pub(crate) fn tour() -> TourStub {
    TourStub::new(Serving::default())
}

#[derive(Default)]
struct Serving {
    authenticated: Population,
    listener: Mutex<Option<Callback<String>>>,
}

fn profile(id: u32) -> Result<Profile> {
    let index = usize::try_from(id).ok().and_then(|id| id.checked_sub(1));
    let (name, active) = index
        .and_then(|index| USERS.get(index))
        .ok_or_else(|| Error::range_error(format!("there is no user {id}")))?;
    Ok(Profile {
        name: (*name).to_owned(),
        active: *active,
    })
}

fn id_of(name: &str) -> Option<u32> {
    (1..)
        .zip(USERS)
        .find(|(_, user)| user.0 == name)
        .map(|(id, _)| id)
}

impl Tour for Serving {
    fn hello(&self, name: String) -> Result<String> {
        Ok(format!("Hello, {name}!"))
    }

    fn authenticate(&self, token: String) -> Result<AuthedStub> {
        let id = id_of(&token).ok_or_else(|| Error::new("no such token"))?;
        Ok(AuthedStub::new(User {
            id,
            _member: self.authenticated.join(),
        }))
    }

    fn authenticate_all(&self, tokens: Vec<String>) -> Result<Vec<AuthedStub>> {
        tokens.into_iter().map(|it| self.authenticate(it)).collect()
    }

    fn authenticated(&self) -> Result<usize> {
        Ok(self.authenticated.count())
    }

    fn get_user_profile(&self, id: u32) -> Result<Profile> {
        profile(id)
    }

    fn get_user_name(&self, id: u32) -> Result<String> {
        Ok(profile(id)?.name)
    }

    fn list_user_ids(&self) -> Result<Vec<u32>> {
        Ok((1..).zip(USERS).map(|(id, _)| id).collect())
    }

    fn find_user_id(&self, name: String) -> Result<Option<u32>> {
        Ok(id_of(&name))
    }

    fn list_teams(&self) -> Result<Vec<Team>> {
        let teams = [vec![1, 2], vec![], vec![3, 1]];
        Ok(teams.map(|member_ids| Team { member_ids }).into())
    }

    fn get_active_users(&self, ids: Vec<u32>) -> Result<Vec<Profile>> {
        let profiles = ids.into_iter().map(profile);
        profiles
            .filter(|profile| profile.as_ref().map_or(true, |profile| profile.active))
            .collect()
    }

    fn first(&self) -> Result<u32> {
        Ok(1)
    }

    fn second(&self, n: u32) -> Result<u32> {
        Ok(n * 10 + 2)
    }

    fn third(&self, n: u32) -> Result<u32> {
        Ok(n * 10 + 3)
    }

    fn get_user_info(&self) -> Result<Profile> {
        profile(1)
    }

    fn greet(&self, name: String) -> Result<String> {
        Ok(format!("Welcome, {name}!"))
    }

    fn log(&self, id: u32, n: u32, at: String) -> Result<String> {
        Ok(format!("{id}: {n} at {at}"))
    }

    fn meeting(&self) -> Result<Meeting> {
        Ok(Meeting {
            host: self.authenticate("Grace".to_owned())?,
        })
    }

    fn subscribe(&self, id: u32, listener: ListenerStub) -> Promise<()> {
        match profile(id) {
            Ok(profile) => listener.on_event(profile.name),
            Err(error) => Promise::rejected(error),
        }
    }

    fn register_listener(&self, listener: Callback<String>) -> Result<()> {
        let mut kept = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        let old = kept.replace(listener);
        // Dropping a callback may run any code of its owner, so drop it outside the lock.
        drop(kept);
        drop(old);
        Ok(())
    }

    fn notify(&self, message: String) -> Promise<()> {
        let kept = self
            .listener
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        match kept {
            Some(listener) => listener.call(message),
            None => Promise::ready(()),
        }
    }
}

struct User {
    id: u32,
    _member: Member,
}

impl Authed for User {
    fn id(&self) -> Result<u32> {
        Ok(self.id)
    }

    fn get_user_id(&self) -> Result<u32> {
        Ok(self.id)
    }

    fn get_friend_ids(&self) -> Result<Vec<u32>> {
        Ok((1..)
            .zip(USERS)
            .map(|(id, _)| id)
            .filter(|id| *id != self.id)
            .collect())
    }

    fn get_notifications(&self) -> Result<Vec<String>> {
        Ok(vec![format!("{} has mail", profile(self.id)?.name)])
    }
}
