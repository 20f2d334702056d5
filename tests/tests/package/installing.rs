//! The package is installed, upgraded and removed; it takes coturn's place and gives it back.

use std::fs;

use e2e::certificate::{Algorithm, Certificate};

use super::support::{ADDRESS, active, machine, ours, package, property, relays};

/// An operator installs it on a bare machine, changes what is hers, and gets the next version.
#[test]
fn the_package_starts_with_a_secret_of_its_own_and_upgrades_around_what_was_changed() {
    let machine = machine();
    let first = machine.take(ours()).unwrap();
    let second = machine.take(&package("0.1.1~test")).unwrap();
    machine.run(&format!("apt-get install -y {first}")).unwrap();
    active(&machine, "turnserver");
    let conf = fs::read_to_string(machine.path("/etc/turnserver.conf")).unwrap();
    let secret = conf
        .lines()
        .find_map(|line| line.strip_prefix("static-auth-secret="))
        .unwrap();
    assert_eq!(secret.len(), 64, "{conf}");
    relays(&machine, &["-W", secret]);
    let owner = machine
        .run("stat -c '%U:%G %a' /etc/turnserver.conf")
        .unwrap();
    assert_eq!(owner.trim(), "root:turnserver 640");
    let status = machine.run("turnctl status").unwrap();
    assert!(status.contains("0.1.0"), "{status}");

    machine
        .write(
            "/etc/turnserver.conf",
            &format!("{conf}realm=changed.example.org\n"),
        )
        .unwrap();
    machine
        .run("echo '# mine' >> /etc/logrotate.d/turnpike")
        .unwrap();
    let before = property(&machine, "MainPID");
    machine
        .run(&format!("apt-get install -y {second}"))
        .unwrap();
    active(&machine, "turnserver");
    assert_ne!(property(&machine, "MainPID"), before);
    relays(&machine, &["-W", secret]);
    assert!(
        fs::read_to_string(machine.path("/etc/turnserver.conf"))
            .unwrap()
            .contains("changed")
    );
    assert!(
        fs::read_to_string(machine.path("/etc/logrotate.d/turnpike"))
            .unwrap()
            .contains("mine")
    );

    machine.run("apt-get remove -y turnpike").unwrap();
    assert!(machine.path("/etc/turnserver.conf").exists());
    assert!(machine.run("systemctl is-active turnserver").is_err());
    machine
        .run("rm /root/turnpike_*.deb && dpkg --purge turnpike")
        .unwrap();
    let left =
        r"find / -xdev \( -name '*turnserver*' -o -name '*turnpike*' \) -not -path '/proc/*'";
    assert_eq!(machine.run(left).unwrap(), "");
}

/// The file of a guide, with certbot's key that root alone may read, and a log of its own: first under coturn, then here, and
/// back by one command. Whoever had a credential keeps it.
#[test]
fn coturn_is_replaced_with_its_file_as_it_is_and_comes_back_by_one_command() {
    let machine = machine();
    let ours = machine.take(ours()).unwrap();
    machine
        .run("apt-get install -y --no-download --no-install-recommends coturn")
        .unwrap();
    let live = "/etc/letsencrypt/live/turn.example.org";
    let made = Certificate::make(Algorithm::Ecdsa, ADDRESS.parse().unwrap()).unwrap();
    for (file, name) in [(&made.certificate, "cert.pem"), (&made.key, "privkey.pem")] {
        machine
            .write(
                &format!("{live}/{name}"),
                &fs::read_to_string(file).unwrap(),
            )
            .unwrap();
    }
    machine
        .run("chmod 700 /etc/letsencrypt/live && chmod 600 /etc/letsencrypt/live/*/privkey.pem")
        .unwrap();
    let conf = format!(
        "listening-port=3478\ntls-listening-port=5349\nexternal-ip={ADDRESS}\nrelay-ip={ADDRESS}\nmin-port=49152\nmax-port=65535\n\
         lt-cred-mech\nuser=username:password\nrealm=yourdomain.com\ncert={live}/cert.pem\npkey={live}/privkey.pem\n\
         log-file=/var/log/turnserver.log\nverbose\nno-tlsv1\nno-tlsv1_1\nno-stdout-log\n"
    );
    machine.write("/etc/turnserver.conf", &conf).unwrap();
    machine
        .run("systemctl reset-failed coturn; systemctl restart coturn")
        .unwrap();
    active(&machine, "coturn");
    let credentials = ["-u", "username", "-w", "password"];
    relays(&machine, &credentials);

    let install = format!("apt-get install -y {ours}");
    for _ in 0..2 {
        machine.run(&install).unwrap();
        active(&machine, "turnserver");
        assert!(machine.run("systemctl is-active coturn").is_err());
        relays(&machine, &credentials);
        // coturn may not read this key, and goes on without TLS.
        relays(
            &machine,
            &["-u", "username", "-w", "password", "-t", "-S", "-p", "5349"],
        );
        let log = fs::read_to_string(machine.path("/var/log/turnserver.log")).unwrap();
        assert!(
            log.contains("listening tls 203.0.113.10:5349") && log.contains("username"),
            "{log}"
        );
        assert_eq!(
            machine
                .run("stat -c %U /var/log/turnserver.log")
                .unwrap()
                .trim(),
            "turnserver"
        );

        machine
            .run("apt-get install -y --no-download --no-install-recommends coturn")
            .unwrap();
        active(&machine, "coturn");
        assert!(machine.run("systemctl is-active turnserver").is_err());
        assert_eq!(
            fs::read_to_string(machine.path("/etc/turnserver.conf")).unwrap(),
            conf
        );
        relays(&machine, &credentials);
    }
}

/// Debian's file as it comes has no mechanism: coturn would relay for anybody. The installation says what is missing, and goes
/// through all the same.
#[test]
fn debians_default_file_is_kept_and_what_it_lacks_is_said() {
    let machine = machine();
    let ours = machine.take(ours()).unwrap();
    machine
        .run("apt-get install -y --no-download --no-install-recommends coturn")
        .unwrap();
    let mut install = machine.command("apt-get");
    let installed = install.args(["install", "-y", &ours]).output().unwrap();
    // apt shows what dpkg says on either of its outputs.
    let said = [installed.stdout, installed.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(installed.status.success(), "{said}");
    assert!(
        said.contains("cannot be used as it is") && said.contains("static-auth-secret"),
        "{said}"
    );
    assert!(said.contains("then: systemctl start turnserver"), "{said}");
    assert!(machine.run("systemctl is-active turnserver").is_err());
    machine.run("echo static-auth-secret=4f1c9e2b7a >> /etc/turnserver.conf && systemctl start turnserver").unwrap();
    active(&machine, "turnserver");
    relays(&machine, &["-W", "4f1c9e2b7a"]);
}
