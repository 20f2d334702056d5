//! Options: databases of users and statistics.

use crate::option::{Group, Kind, option};

const NO_DATABASE: &str = "databases are not read yet; use user or static-auth-secret";

pub(super) static GROUP: Group = Group {
    title: "Databases",
    options: &[
        option("userdb", Kind::Path, "SQLite file with users.")
            .short('b')
            .aliases(&["db"])
            .example("/var/lib/turn/turndb")
            .not_yet(NO_DATABASE),
        option(
            "psql-userdb",
            Kind::Secret,
            "PostgreSQL database with users.",
        )
        .short('e')
        .aliases(&["sql-userdb"])
        .example("host=localhost dbname=coturn user=turn password=replace-this")
        .not_yet(NO_DATABASE),
        option("mysql-userdb", Kind::Secret, "MySQL database with users.")
            .short('M')
            .example("host=localhost dbname=coturn user=turn password=replace-this")
            .not_yet(NO_DATABASE),
        option(
            "secret-key-file",
            Kind::Path,
            "File with the key that encrypts the MySQL password.",
        )
        .example("/etc/turnserver/secret.key")
        .not_yet(NO_DATABASE),
        option("mongo-userdb", Kind::Secret, "MongoDB database with users.")
            .short('J')
            .example("mongodb://localhost:27017/coturn")
            .not_yet(NO_DATABASE),
        option("redis-userdb", Kind::Secret, "Redis database with users.")
            .short('N')
            .example("ip=127.0.0.1 dbname=0 password=replace-this")
            .not_yet(NO_DATABASE),
        option(
            "redis-statsdb",
            Kind::Secret,
            "Redis database that receives statistics.",
        )
        .short('O')
        .example("ip=127.0.0.1 dbname=1 password=replace-this")
        .not_yet("statistics do not go to Redis yet; use prometheus"),
    ],
};
