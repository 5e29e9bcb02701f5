//! The rows. The tables themselves are made by `confab-migrations`.

pub(super) mod user_account {
    use sea_orm::entity::prelude::*;

    /// `id` is what rows are found by. In the table `number` is the primary key, as SQLite counts no other column.
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "user_account")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) id: Uuid,
        pub(crate) number: i64,
        pub(crate) username: String,
        pub(crate) balance_microdollars: i64,
        pub(crate) reserved_microdollars: i64,
        pub(crate) created_at: DateTimeUtc,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod model_grant {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "model_grant")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) user_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) model_id: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod ledger {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "ledger")]
    pub(crate) struct Model {
        #[sea_orm(primary_key)]
        pub(crate) id: i64,
        pub(crate) user_id: Uuid,
        pub(crate) amount_microdollars: i64,
        pub(crate) kind: Kind,
        pub(crate) run_id: Option<Uuid>,
        pub(crate) deposit_key: Option<String>,
        /// Of a charge: the API key that asked, if one did.
        pub(crate) api_key_id: Option<Uuid>,
        pub(crate) booked_at: DateTimeUtc,
    }

    /// What a row of the ledger books.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
    pub(crate) enum Kind {
        Deposit = 1,
        Charge = 2,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod reservation {
    use sea_orm::entity::prelude::*;

    /// `charged_microdollars` and `settled_at` are null while it is open.
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "reservation")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) run_id: Uuid,
        pub(crate) user_id: Uuid,
        pub(crate) amount_microdollars: i64,
        pub(crate) charged_microdollars: Option<i64>,
        pub(crate) background: bool,
        pub(crate) api_key_id: Option<Uuid>,
        pub(crate) opened_at: DateTimeUtc,
        pub(crate) settled_at: Option<DateTimeUtc>,
        /// When it is released if it is still open; null: never.
        pub(crate) expires_at: Option<DateTimeUtc>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod api_key {
    use sea_orm::entity::prelude::*;

    /// `budget_microdollars` is null without a budget, `expires_at` without an end.
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "api_key")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) id: Uuid,
        pub(crate) user_id: Uuid,
        pub(crate) hash: Vec<u8>,
        pub(crate) name: String,
        pub(crate) hint: String,
        pub(crate) scopes: String,
        pub(crate) budget_microdollars: Option<i64>,
        pub(crate) spent_microdollars: i64,
        pub(crate) reserved_microdollars: i64,
        pub(crate) created_at: DateTimeUtc,
        pub(crate) expires_at: Option<DateTimeUtc>,
        pub(crate) revoked_at: Option<DateTimeUtc>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod api_key_model {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "api_key_model")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) key_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) model_id: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod signing_key {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "signing_key")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) id: String,
        pub(crate) generation: i32,
        pub(crate) private_pem: PrivatePem,
        pub(crate) created_at: DateTimeUtc,
    }

    /// A column that a row's `Debug`, which sea-orm asks for, does not show.
    #[derive(Clone, PartialEq, DeriveValueType)]
    pub(crate) struct PrivatePem(pub(crate) String);

    impl std::fmt::Debug for PrivatePem {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("[redacted]")
        }
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod external_identity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "external_identity")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) issuer: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) subject: String,
        pub(crate) user_id: Uuid,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
