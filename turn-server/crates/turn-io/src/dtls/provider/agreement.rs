//! Key agreement on elliptic curves (RFC 8422 §5.4).

use dimpl::{
    CryptoError, CryptoOperation,
    crypto::{ActiveKeyExchange, Buf, NamedGroup, SupportedKxGroup},
};
use ring::{
    agreement::{
        Algorithm, ECDH_P256, ECDH_P384, EphemeralPrivateKey, UnparsedPublicKey, X25519,
        agree_ephemeral,
    },
    rand::SystemRandom,
};

/// The groups, in the order of preference.
pub(super) static GROUPS: &[&dyn SupportedKxGroup] = &[
    &Group {
        name: NamedGroup::X25519,
        algorithm: &X25519,
    },
    &Group {
        name: NamedGroup::Secp256r1,
        algorithm: &ECDH_P256,
    },
    &Group {
        name: NamedGroup::Secp384r1,
        algorithm: &ECDH_P384,
    },
];

#[derive(Debug)]
struct Group {
    name: NamedGroup,
    algorithm: &'static Algorithm,
}

impl SupportedKxGroup for Group {
    fn name(&self) -> NamedGroup {
        self.name
    }

    fn start_exchange(&self, mut public: Buf) -> Result<Box<dyn ActiveKeyExchange>, CryptoError> {
        let failed = |operation| move |_| CryptoError::OperationFailed(operation);
        let private = EphemeralPrivateKey::generate(self.algorithm, &SystemRandom::new())
            .map_err(failed(CryptoOperation::GenerateEphemeralKey))?;
        let key = private
            .compute_public_key()
            .map_err(failed(CryptoOperation::ComputePublicKey))?;
        public.clear();
        public.extend_from_slice(key.as_ref());
        Ok(Box::new(Exchange {
            name: self.name,
            algorithm: self.algorithm,
            private,
            public,
        }))
    }
}

struct Exchange {
    name: NamedGroup,
    algorithm: &'static Algorithm,
    private: EphemeralPrivateKey,
    public: Buf,
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Exchange")
    }
}

impl ActiveKeyExchange for Exchange {
    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn complete(self: Box<Self>, peer: &[u8], out: &mut Buf) -> Result<(), CryptoError> {
        let peer = UnparsedPublicKey::new(self.algorithm, peer);
        let agreed = agree_ephemeral(self.private, &peer, |secret| {
            out.clear();
            out.extend_from_slice(secret);
        });
        agreed.map_err(|_| CryptoError::InvalidPublicKey(self.name))
    }

    fn group(&self) -> NamedGroup {
        self.name
    }
}
