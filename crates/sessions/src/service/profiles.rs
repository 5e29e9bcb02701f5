//! What front ends show of users.

use std::collections::HashMap;

use confab_rpc::sessions as wire;
use confab_rpc::time;
use uuid::Uuid;

use super::{LARGEST_PAGE, Service, user_id};
use crate::error::Error;
use crate::profile::{self, Changes, Email, Profile};

impl Service {
    pub(super) async fn profiles(&self, ids: &[String]) -> Result<Vec<wire::Profile>, Error> {
        if ids.len() > LARGEST_PAGE as usize {
            return Err(Error::Invalid("at most 1000 profiles can be asked for"));
        }
        let ids: Vec<Uuid> = ids
            .iter()
            .filter_map(|id| Uuid::try_parse(id).ok())
            .collect();
        let found = self.store.profiles(&ids).await?;
        let found: HashMap<Uuid, Profile> = found
            .into_iter()
            .map(|profile| (profile.user_id, profile))
            .collect();
        Ok(ids
            .iter()
            .filter_map(|id| found.get(id).cloned())
            .map(wire::Profile::from)
            .collect())
    }

    pub(super) async fn change_profile(
        &self,
        request: wire::UpdateProfileRequest,
    ) -> Result<wire::Profile, Error> {
        let id = user_id(&request.user_id)?;
        let now = self.clock.now();
        let day = |text: String| profile::date_of_birth(&text, now.date_naive());
        let changes = Changes {
            email: request.email.map(|it| Email::parse(&it)).transpose()?,
            fullname: request
                .fullname
                .map(|it| profile::fullname(&it))
                .transpose()?,
            country_code: request
                .country_code
                .map(|it| profile::country_code(&it))
                .transpose()?,
            phone_number: request
                .phone_number
                .map(|it| profile::phone_number(&it))
                .transpose()?,
            gender: request.gender.map(|it| profile::gender(&it)).transpose()?,
            date_of_birth: request.date_of_birth.map(day).transpose()?,
            photo: request.photo.map(|it| profile::photo(&it)).transpose()?,
        };
        let profile = self.store.update_profile(id, changes, now).await?;
        Ok(profile.into())
    }
}

impl From<Profile> for wire::Profile {
    fn from(profile: Profile) -> Self {
        Self {
            user_id: profile.user_id.to_string(),
            number: profile.number,
            username: profile.username,
            email: profile.email,
            fullname: profile.fullname,
            country_code: profile.country_code,
            phone_number: profile.phone_number,
            gender: profile.gender,
            date_of_birth: profile
                .date_of_birth
                .map(|day| day.to_string())
                .unwrap_or_default(),
            photo: profile.photo,
            created_at: Some(time::to_wire(profile.created_at)),
            updated_at: Some(time::to_wire(profile.updated_at)),
        }
    }
}
