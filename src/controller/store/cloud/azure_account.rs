//! Which Azure account a store is in, out of Azure's own variables. Makes no request.

use aws_lc_rs::hmac::{HMAC_SHA256, Key};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::controller::store::error::StoreError;
use crate::controller::store::options::Variables;

/// What to set where something is missing.
const MEND: &str = "set AZURE_STORAGE_CONNECTION_STRING to a connection string with AccountName and AccountKey, or both \
     AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY";

/// An account with the key that signs for it.
pub(super) struct Account {
    pub(super) name: String,
    /// The key as Azure writes it, base64.
    pub(super) key: String,
    /// Of the blob service, without a slash at its end.
    pub(super) endpoint: String,
}

impl Account {
    /// Reads the connection string, or else the single variables.
    pub(super) fn find(variables: &Variables) -> Result<Self, StoreError> {
        let first = |names: &[&str]| names.iter().find_map(|name| variables.value(name)).map(str::to_owned);
        let account = match variables.value("AZURE_STORAGE_CONNECTION_STRING") {
            Some(text) => Self::parse(text)?,
            None => {
                let name = first(&["AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT"]);
                let key =
                    first(&["AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_KEY"]);
                let endpoint = first(&["AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"]);
                Self::new(name, key, endpoint, "core.windows.net", "https")?
            }
        };
        account.signing_key()?;
        Ok(account)
    }

    /// The key that signatures are made with.
    pub(super) fn signing_key(&self) -> Result<Key, StoreError> {
        match STANDARD.decode(&self.key) {
            Ok(key) if !key.is_empty() => Ok(Key::new(HMAC_SHA256, &key)),
            _ => Err(StoreError::setting("the Azure account's key is no base64".to_owned(), MEND)),
        }
    }

    /// `Name=Value;…`, names in any case; what pannier has no use for is passed over.
    fn parse(text: &str) -> Result<Self, StoreError> {
        let value = |name: &str| {
            let pairs = text.split(';').filter_map(|pair| pair.split_once('='));
            let mut values = pairs.filter(|(found, _)| found.trim().eq_ignore_ascii_case(name));
            values.next_back().map(|(_, value)| value.trim().to_owned()).filter(|value| !value.is_empty())
        };
        let suffix = value("EndpointSuffix").unwrap_or_else(|| "core.windows.net".to_owned());
        let protocol = value("DefaultEndpointsProtocol").unwrap_or_else(|| "https".to_owned());
        Self::new(value("AccountName"), value("AccountKey"), value("BlobEndpoint"), &suffix, &protocol)
    }

    fn new(
        name: Option<String>,
        key: Option<String>,
        endpoint: Option<String>,
        suffix: &str,
        protocol: &str,
    ) -> Result<Self, StoreError> {
        let (Some(name), Some(key)) = (name, key) else {
            let problem = "signing for Azure needs an account's name and its key".to_owned();
            return Err(StoreError::setting(problem, MEND));
        };
        let endpoint = endpoint.unwrap_or_else(|| format!("{protocol}://{name}.blob.{suffix}"));
        Ok(Self { name, key, endpoint: endpoint.trim_end_matches('/').to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(pairs: &[(&str, &str)]) -> Result<Account, StoreError> {
        Account::find(&pairs.iter().copied().collect())
    }

    fn connection(text: &str) -> Result<Account, StoreError> {
        find(&[("AZURE_STORAGE_CONNECTION_STRING", text)])
    }

    #[test]
    fn a_connection_string_names_account_key_and_endpoint() {
        let portal = "DefaultEndpointsProtocol=https;AccountName=ci;AccountKey=a2V5PQ==;EndpointSuffix=core.windows.net";
        let account = connection(portal).unwrap();
        assert_eq!((account.name.as_str(), account.key.as_str()), ("ci", "a2V5PQ=="));
        assert_eq!(account.endpoint, "https://ci.blob.core.windows.net");
        let own = "accountname=ci; AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:10000/ci/;";
        assert_eq!(connection(own).unwrap().endpoint, "http://127.0.0.1:10000/ci");
    }

    #[test]
    fn single_variables_do_as_well() {
        let account = find(&[("AZURE_STORAGE_ACCOUNT", "ci"), ("AZURE_STORAGE_KEY", "a2V5")]).unwrap();
        assert_eq!(account.endpoint, "https://ci.blob.core.windows.net");
    }

    #[test]
    fn what_cannot_sign_is_refused_without_repeating_it() {
        let shared = "BlobEndpoint=https://ci.blob.core.windows.net;SharedAccessSignature=sv=1&sig=secret";
        for text in [shared, "AccountName=ci", "AccountName=ci;AccountKey=!secret!", "secret"] {
            let error = connection(text).err().unwrap();
            assert!(error.hint().unwrap().contains("AZURE_STORAGE_CONNECTION_STRING"));
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        assert!(find(&[("AZURE_STORAGE_ACCOUNT_NAME", "ci")]).is_err());
    }
}
