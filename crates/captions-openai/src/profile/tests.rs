use rstest::rstest;

use super::{Auth, Profile, Structure, ThinkingSwitch, TokenLimit};

#[rstest]
#[case("https://api.openai.com/v1", Profile::OpenAi)]
#[case("https://eu.api.openai.com/v1", Profile::OpenAi)]
#[case("https://mine.openai.azure.com/openai/v1/", Profile::Azure)]
#[case("https://mine.services.ai.azure.com/openai/v1", Profile::Azure)]
#[case("https://generativelanguage.googleapis.com/v1beta/openai/", Profile::Gemini)]
#[case("https://api.mistral.ai/v1", Profile::Mistral)]
#[case("https://api.groq.com/openai/v1", Profile::Groq)]
#[case("https://openrouter.ai/api/v1", Profile::OpenRouter)]
#[case("http://localhost:11434/v1", Profile::Ollama)]
#[case("http://127.0.0.1:8080/v1", Profile::LlamaCpp)]
#[case("http://gpu-box:8000/v1", Profile::Vllm)]
#[case("http://127.0.0.1:1234/v1", Profile::LmStudio)]
#[case("http://127.0.0.1:9100/v1", Profile::Generic)]
#[case::look_alike_host("https://notopenai.com/v1", Profile::Generic)]
#[case::a_port_behind_tls_says_nothing("https://models.example:8000/v1", Profile::Generic)]
#[case::no_url("not a url", Profile::Generic)]
fn the_profile_is_guessed_from_host_and_port(#[case] base_url: &str, #[case] expected: Profile) {
    assert_eq!(Profile::guess(base_url), expected);
}

#[test]
fn every_name_is_read_back() {
    for (profile, name) in Profile::ALL.iter().zip(Profile::NAMES) {
        assert_eq!(profile.as_str(), *name);
        assert_eq!(name.parse::<Profile>().unwrap(), *profile);
    }
    assert_eq!(" LM-Studio ".parse::<Profile>().unwrap(), Profile::LmStudio);
}

#[test]
fn an_unknown_name_gets_the_nearest_one() {
    let unknown = "openai-compatible-mistrall".parse::<Profile>().unwrap_err();
    assert_eq!(unknown.what, "profile");
    assert_eq!("mistrall".parse::<Profile>().unwrap_err().nearest, Some("mistral"));
}

#[rstest]
#[case(Profile::OpenAi, TokenLimit::MaxCompletionTokens)]
#[case(Profile::Azure, TokenLimit::MaxCompletionTokens)]
#[case(Profile::Groq, TokenLimit::MaxCompletionTokens)]
#[case(Profile::OpenRouter, TokenLimit::MaxCompletionTokens)]
#[case(Profile::Mistral, TokenLimit::MaxTokens)]
#[case(Profile::Vllm, TokenLimit::MaxTokens)]
#[case(Profile::Ollama, TokenLimit::MaxTokens)]
#[case(Profile::Gemini, TokenLimit::MaxTokens)]
#[case(Profile::Generic, TokenLimit::MaxTokens)]
fn each_provider_gets_its_token_limit_field(#[case] profile: Profile, #[case] expected: TokenLimit) {
    assert_eq!(profile.abilities("some-model").token_limit, expected);
}

#[test]
fn what_sets_single_providers_apart() {
    assert_eq!(Profile::Gemini.abilities("m").seed, None);
    assert_eq!(Profile::Mistral.abilities("m").seed, Some("random_seed"));
    assert!(!Profile::Mistral.abilities("m").stream_usage);
    assert_eq!(Profile::Azure.abilities("m").auth, Auth::ApiKeyHeader);
    assert!(Profile::OpenAi.abilities("m").store_off);
    assert!(!Profile::LmStudio.abilities("m").takes_json_object);
    assert_eq!(Profile::Groq.abilities("llama-3.3-70b").structure, Structure::Object);
    assert_eq!(
        Profile::Groq.abilities("openai/gpt-oss-120b").structure,
        Structure::Schema
    );
    assert_eq!(
        Profile::Vllm.abilities("m").thinking_switch,
        ThinkingSwitch::TemplateArgument
    );
    assert!(Profile::Ollama.abilities("qwen3:8b").thinking_off);
    assert!(!Profile::Ollama.abilities("llama3.2").thinking_off);
}

#[rstest]
#[case("gpt-5", true)]
#[case("gpt-5.1-mini", true)]
#[case("openai/o3-mini", true)]
#[case("o1", true)]
#[case("gpt-4o", false)]
#[case("gpt-50", false)]
#[case("o1-look-alike/other", false)]
fn reasoning_models_take_no_temperature_anywhere(#[case] model: &str, #[case] reasons: bool) {
    for profile in [Profile::OpenAi, Profile::OpenRouter, Profile::Generic] {
        let abilities = profile.abilities(model);
        assert_eq!(!abilities.temperature, reasons, "{profile}");
        assert_eq!(abilities.thinks, reasons, "{profile}");
        assert!(
            !reasons || abilities.token_limit == TokenLimit::MaxCompletionTokens,
            "{profile}"
        );
    }
}
