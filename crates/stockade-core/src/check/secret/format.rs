//! What tokens look like, by who gives them out: public facts, as each documents them or as its
//! tokens show. A token is recognised by how it begins, by its letters, and by its length.

/// The form of one kind of token.
#[derive(Debug)]
pub(super) struct Format {
    /// What it is called in reports and placeholders.
    pub(super) kind: &'static str,
    /// How it begins. The first byte is a letter or a digit.
    pub(super) prefix: &'static str,
    /// What follows.
    pub(super) parts: &'static [Part],
}

/// What follows in a token.
#[derive(Debug)]
pub(super) enum Part {
    /// So many letters of a class, and then none of it.
    Run(Class, usize, usize),
    /// This.
    Is(&'static str),
}

/// Letters that tokens are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Digit,
    Hex,
    /// Lower case and digits.
    Lower,
    /// Upper case and digits.
    Upper,
    Alnum,
    /// Letters, digits and `_`.
    Word,
    /// Base64 as in URLs: letters, digits, `-` and `_`.
    Url,
    /// Base64: letters, digits, `+`, `/` and `=`.
    Base,
    /// Base64 of either alphabet.
    Both,
}

impl Class {
    pub(super) const COUNT: usize = 9;

    pub(super) fn has(self, it: u8) -> bool {
        match self {
            Self::Digit => it.is_ascii_digit(),
            Self::Hex => it.is_ascii_hexdigit(),
            Self::Lower => it.is_ascii_lowercase() || it.is_ascii_digit(),
            Self::Upper => it.is_ascii_uppercase() || it.is_ascii_digit(),
            Self::Alnum => it.is_ascii_alphanumeric(),
            Self::Word => it.is_ascii_alphanumeric() || it == b'_',
            Self::Url => it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_'),
            Self::Base => it.is_ascii_alphanumeric() || matches!(it, b'+' | b'/' | b'='),
            Self::Both => Self::Base.has(it) || Self::Url.has(it),
        }
    }
}

/// The fewest bytes that a token has, all of [`is_token_byte`].
pub(super) const BYTES_MIN: usize = 20;
/// The most that a run may have where nobody says how long it is.
const LONG: usize = 8192;

/// What the first [`BYTES_MIN`] bytes of every token are made of.
#[inline]
pub(super) fn is_token_byte(it: u8) -> bool {
    it.is_ascii_alphanumeric() | matches!(it, b'_' | b'-' | b'.' | b'/' | b'$')
}

macro_rules! formats {
    ($($kind:literal $prefix:literal $($part:expr),+;)*) => {
        &[$(Format { kind: $kind, prefix: $prefix, parts: &[$($part),+] },)*]
    };
}

const fn run(class: Class, count: usize) -> Part {
    Part::Run(class, count, count)
}

const fn runs(class: Class, min: usize, max: usize) -> Part {
    Part::Run(class, min, max)
}

use Class::{Alnum, Base, Both, Digit, Hex, Lower, Upper, Url, Word};
use Part::Is;

/// Every format that is known.
pub(super) static FORMATS: &[Format] = formats! {
    // Where code is.
    "github-token" "ghp_" runs(Alnum, 36, 255);
    "github-oauth-token" "gho_" runs(Alnum, 36, 255);
    "github-user-token" "ghu_" runs(Alnum, 36, 255);
    "github-app-token" "ghs_" runs(Alnum, 36, 255);
    "github-refresh-token" "ghr_" runs(Alnum, 36, 255);
    "github-fine-grained-token" "github_pat_" run(Word, 82);
    "gitlab-token" "glpat-" runs(Url, 20, 300);
    "gitlab-deploy-token" "gldt-" runs(Url, 20, 300);
    "gitlab-runner-token" "glrt-" runs(Url, 20, 300);
    "gitlab-ci-token" "glcbt-" runs(Url, 20, 300);
    "gitlab-trigger-token" "glptt-" runs(Url, 40, 300);
    "gitlab-feed-token" "glft-" runs(Url, 20, 300);
    "gitlab-agent-token" "glagent-" runs(Url, 50, 300);
    "gitlab-scim-token" "glsoat-" runs(Url, 20, 300);
    "bitbucket-app-password" "ATBB" run(Alnum, 32);
    "atlassian-token" "ATATT3" runs(Url, 150, 250);
    "sourcegraph-token" "sgp_" runs(Word, 40, 64);
    "sonar-token" "squ_" run(Hex, 40);
    "sonar-project-token" "sqp_" run(Hex, 40);
    "circleci-token" "CCIPAT_" runs(Word, 50, 80);
    "buildkite-token" "bkua_" run(Hex, 40);
    // Where packages are.
    "npm-token" "npm_" run(Alnum, 36);
    "pypi-token" "pypi-AgEIcHlwaS5vcmc" runs(Url, 50, 1000);
    "test-pypi-token" "pypi-AgENdGVzdC5weXBpLm9yZw" runs(Url, 50, 1000);
    "rubygems-token" "rubygems_" run(Hex, 48);
    "crates-token" "cio" run(Alnum, 32);
    "nuget-token" "oy2" run(Lower, 43);
    "docker-token" "dckr_pat_" run(Url, 27);
    "docker-organization-token" "dckr_oat_" run(Url, 32);
    "packagist-token" "packagist_" run(Lower, 3), Is("_"), run(Hex, 68);
    "clojars-token" "CLOJARS_" run(Lower, 60);
    "artifactory-token" "AKCp" runs(Alnum, 60, 80);
    "artifactory-reference-token" "cmVmdGtu" run(Alnum, 56);
    // Clouds.
    "aws-access-key" "AKIA" run(Upper, 16);
    "aws-temporary-key" "ASIA" run(Upper, 16);
    "aws-bearer-token" "ABIA" run(Upper, 16);
    "aws-bedrock-key" "ABSK" runs(Base, 109, 269);
    "google-api-key" "AIza" run(Url, 35);
    "google-oauth-token" "ya29." runs(Url, 30, 2000);
    "google-oauth-secret" "GOCSPX-" run(Url, 28);
    "alibaba-access-key" "LTAI" runs(Alnum, 16, 26);
    "tencent-secret-id" "AKID" run(Alnum, 32);
    "yandex-api-key" "AQVN" runs(Url, 35, 38);
    "digitalocean-token" "dop_v1_" run(Hex, 64);
    "digitalocean-oauth-token" "doo_v1_" run(Hex, 64);
    "digitalocean-refresh-token" "dor_v1_" run(Hex, 64);
    "heroku-token" "HRKU-" runs(Url, 36, 64);
    "fly-token" "fo1_" run(Word, 43);
    "fly-macaroon" "fm2_" runs(Base, 100, 2000);
    "netlify-token" "nfp_" run(Word, 36);
    "render-token" "rnd_" run(Alnum, 32);
    "vercel-token" "vcp_" runs(Alnum, 40, 80);
    "vercel-integration-token" "vci_" runs(Alnum, 40, 80);
    "vercel-app-token" "vca_" runs(Alnum, 40, 80);
    "vercel-refresh-token" "vcr_" runs(Alnum, 40, 80);
    "vercel-ai-key" "vck_" runs(Alnum, 40, 80);
    "cloudflare-origin-key" "v1.0-" run(Hex, 24), Is("-"), run(Hex, 146);
    "tailscale-key" "tskey-auth-" runs(Alnum, 8, 30), Is("-"), runs(Alnum, 20, 60);
    "tailscale-api-key" "tskey-api-" runs(Alnum, 8, 30), Is("-"), runs(Alnum, 20, 60);
    // Data.
    "databricks-token" "dapi" run(Hex, 32);
    "supabase-token" "sbp_" run(Hex, 40);
    "supabase-secret-key" "sb_secret_" runs(Url, 30, 60);
    "planetscale-token" "pscale_tkn_" runs(Url, 32, 64);
    "planetscale-password" "pscale_pw_" runs(Url, 32, 64);
    "planetscale-oauth-token" "pscale_oauth_" runs(Url, 32, 64);
    "neon-token" "napi_" run(Lower, 64);
    "mongodb-secret" "mdb_sa_sk_" runs(Url, 40, 80);
    "pinecone-key" "pcsk_" runs(Word, 50, 90);
    "airtable-token" "pat" run(Alnum, 14), Is("."), run(Hex, 64);
    // Secrets for secrets.
    "vault-token" "hvs." runs(Url, 90, 300);
    "vault-batch-token" "hvb." runs(Url, 130, 500);
    "doppler-token" "dp.pt." run(Alnum, 43);
    "doppler-service-token" "dp.st." runs(Alnum, 40, 60);
    "onepassword-token" "ops_eyJ" runs(Both, 100, 2000);
    "age-secret-key" "AGE-SECRET-KEY-1" run(Upper, 58);
    "pulumi-token" "pul-" run(Hex, 40);
    // Models.
    "openai-key" "sk-" run(Alnum, 48);
    "openai-project-key" "sk-proj-" runs(Url, 40, 220);
    "openai-service-key" "sk-svcacct-" runs(Url, 40, 220);
    "openai-admin-key" "sk-admin-" runs(Url, 40, 220);
    "anthropic-key" "sk-ant-" runs(Url, 80, 140);
    "openrouter-key" "sk-or-v1-" run(Hex, 64);
    "deepseek-key" "sk-" run(Hex, 32);
    "groq-key" "gsk_" run(Alnum, 52);
    "xai-key" "xai-" runs(Alnum, 70, 90);
    "perplexity-key" "pplx-" runs(Alnum, 40, 56);
    "replicate-token" "r8_" run(Alnum, 37);
    "huggingface-token" "hf_" run(Alnum, 34);
    "huggingface-organization-token" "api_org_" run(Alnum, 34);
    "together-key" "tgp_v1_" run(Url, 43);
    "langsmith-token" "lsv2_pt_" run(Hex, 32), Is("_"), run(Hex, 10);
    "langsmith-service-key" "lsv2_sk_" run(Hex, 32), Is("_"), run(Hex, 10);
    "nvidia-key" "nvapi-" run(Url, 64);
    "tavily-key" "tvly-" runs(Url, 32, 48);
    "firecrawl-key" "fc-" run(Hex, 32);
    "e2b-key" "e2b_" run(Hex, 40);
    // Messages.
    "slack-bot-token" "xoxb-" runs(Digit, 10, 13), Is("-"), runs(Url, 20, 60);
    "slack-user-token" "xoxp-" runs(Digit, 10, 13), Is("-"), runs(Url, 20, 90);
    "slack-app-token" "xapp-1-" runs(Upper, 9, 14), Is("-"), runs(Digit, 10, 14), Is("-"),
        runs(Hex, 40, 80);
    "slack-configuration-token" "xoxe.xoxp-1-" runs(Alnum, 100, 200);
    "slack-legacy-token" "xoxs-" runs(Digit, 10, 13), Is("-"), runs(Url, 20, 90);
    "slack-webhook" "hooks.slack.com/services/" runs(Upper, 9, 12), Is("/"), runs(Upper, 9, 12),
        Is("/"), run(Alnum, 24);
    "discord-webhook" "discord.com/api/webhooks/" runs(Digit, 17, 20), Is("/"), runs(Url, 60, 80);
    "sendgrid-key" "SG." run(Url, 22), Is("."), run(Url, 43);
    "mailgun-key" "key-" run(Hex, 32);
    "brevo-key" "xkeysib-" run(Hex, 64), Is("-"), run(Alnum, 16);
    "resend-key" "re_" run(Alnum, 8), Is("_"), run(Alnum, 24);
    "twilio-key" "SK" run(Hex, 32);
    // Money.
    "stripe-live-key" "sk_live_" runs(Alnum, 24, 240);
    "stripe-test-key" "sk_test_" runs(Alnum, 24, 240);
    "stripe-restricted-key" "rk_live_" runs(Alnum, 24, 240);
    "stripe-restricted-test-key" "rk_test_" runs(Alnum, 24, 240);
    "webhook-secret" "whsec_" runs(Base, 32, 64);
    "square-token" "sq0atp-" run(Url, 22);
    "square-secret" "sq0csp-" run(Url, 43);
    "shopify-token" "shpat_" run(Hex, 32);
    "shopify-custom-token" "shpca_" run(Hex, 32);
    "shopify-private-token" "shppa_" run(Hex, 32);
    "shopify-secret" "shpss_" run(Hex, 32);
    "braintree-token" "access_token$production$" run(Lower, 16), Is("$"), run(Hex, 32);
    "plaid-token" "access-production-" run(Hex, 8), Is("-"), run(Hex, 4), Is("-"), run(Hex, 4),
        Is("-"), run(Hex, 4), Is("-"), run(Hex, 12);
    "easypost-key" "EZAK" run(Alnum, 54);
    "shippo-key" "shippo_live_" run(Hex, 40);
    "duffel-key" "duffel_live_" run(Url, 43);
    // What happens.
    "grafana-token" "glsa_" run(Alnum, 32), Is("_"), run(Hex, 8);
    "grafana-cloud-token" "glc_" runs(Base, 32, 400);
    "sentry-token" "sntryu_" run(Hex, 64);
    "sentry-organization-token" "sntrys_" runs(Both, 80, 500);
    "newrelic-key" "NRAK-" run(Upper, 27);
    "dynatrace-token" "dt0c01." run(Upper, 24), Is("."), run(Upper, 64);
    "posthog-key" "phx_" runs(Alnum, 40, 56);
    "readme-key" "rdme_" run(Lower, 70);
    // Work.
    "linear-key" "lin_api_" run(Alnum, 40);
    "notion-token" "ntn_" runs(Alnum, 40, 50);
    "figma-token" "figd_" runs(Url, 38, 50);
    "postman-key" "PMAK-" run(Hex, 24), Is("-"), run(Hex, 34);
    "contentful-token" "CFPAT-" run(Url, 43);
    "hubspot-token" "pat-na1-" run(Hex, 8), Is("-"), run(Hex, 4), Is("-"), run(Hex, 4), Is("-"),
        run(Hex, 4), Is("-"), run(Hex, 12);
    "dropbox-token" "sl." runs(Url, 130, 2000);
    "facebook-token" "EAA" runs(Alnum, 100, 400);
    "prefect-token" "pnu_" run(Lower, 36);
    "mapbox-secret-token" "sk.eyJ" runs(Url, 40, 400), Is("."), runs(Url, 20, 60);
    // Anybody's.
    "jwt" "eyJ" runs(Url, 14, LONG), Is(".eyJ"), runs(Url, 10, LONG), Is("."), runs(Url, 20, LONG);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_begins_as_the_search_expects() {
        let mut kinds: Vec<_> = FORMATS.iter().map(|it| it.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(kinds.len(), FORMATS.len());
        assert!(kinds.len() >= 60);
        for it in FORMATS {
            assert!(it.prefix.as_bytes()[0].is_ascii_alphanumeric(), "{}", it.kind);
            assert!(it.prefix.bytes().all(is_token_byte), "{}", it.kind);
            let Part::Run(class, min, _) = it.parts[0] else { panic!("{}", it.kind) };
            assert!(it.prefix.len() + min >= BYTES_MIN || class != Class::Base, "{}", it.kind);
            let least: usize = it
                .parts
                .iter()
                .map(|it| match it {
                    Part::Run(_, min, max) => {
                        assert!(min <= max);
                        *min
                    }
                    Part::Is(text) => text.len(),
                })
                .sum();
            assert!(it.prefix.len() + least >= BYTES_MIN, "{}", it.kind);
        }
    }
}
