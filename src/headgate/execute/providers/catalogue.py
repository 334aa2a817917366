"""The providers by name: where each lives, whose key it takes, which adapter speaks to it, and what it supports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from headgate.execute.providers.adapter import Adapter
from headgate.execute.secret import Secret
from headgate.suite.model import Model, ProviderName

Feature = Literal[
    "text", "images", "tools", "structured output", "log probabilities", "seed", "reasoning", "cached tokens"
]
"""What an adapter can send and read; whether a model behind it can, is the model's business."""

FEATURES: Final[tuple[Feature, ...]] = get_args(Feature)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """What headgate knows of one provider.

    Attributes
    ----------
    title : str
        As its makers write it.
    base_url : str, optional
        Where it lives; ``{NAME}`` in it stands for an environment variable. None: the suite says it.
    key : str, optional
        Environment variable that a model without ``api_key`` takes its key from. It goes to the provider's own address
        alone, or, where it has none, to the one that the suite names.
    key_needed : bool
        Refuse to start where that variable is not set; else go without a key.
    other_key : callable, optional
        Reads what a model without any of these is asked with: a key that is found in a way of its own, and is not sent.
    adapter : callable, optional
        Makes the adapter for a model; it imports its module when it is called. None: it speaks no HTTP.
    supports : frozenset of str
        Of :data:`FEATURES`.
    """

    title: str
    base_url: str | None = None
    key: str | None = None
    key_needed: bool = True
    other_key: Callable[[Model], Secret] | None = None
    adapter: Callable[[Model], Adapter] | None
    supports: frozenset[Feature] = frozenset(FEATURES)


def _chat(model: Model) -> Adapter:
    from headgate.execute.providers.dialects import DIALECTS
    from headgate.execute.providers.openai import ChatCompletions

    return ChatCompletions(DIALECTS[model.provider], simulated=model.provider == "simulated")


def _azure(model: Model) -> Adapter:
    from headgate.execute.providers.dialects import DIALECTS
    from headgate.execute.providers.openai import ChatCompletions

    return ChatCompletions(DIALECTS["azure"], api_version=model.api_version or "v1")


def _responses(_: Model) -> Adapter:
    from headgate.execute.providers.responses import Responses

    return Responses()


def _all_but(*features: Feature) -> frozenset[Feature]:
    return frozenset(FEATURES) - set(features)


def _anthropic(model: Model) -> Adapter:
    from headgate.execute.providers.anthropic import Messages

    return Messages(api_version=model.api_version)


def _bedrock(_: Model) -> Adapter:
    from headgate.execute.providers.bedrock import Converse

    return Converse()


def _aws_key(model: Model) -> Secret:
    from headgate.execute.providers.aws import read_credentials

    return read_credentials(model)


def _gemini(model: Model) -> Adapter:
    from headgate.execute.providers.gemini import GenerateContent

    return GenerateContent(api_version=model.api_version)


def _ollama(_: Model) -> Adapter:
    from headgate.execute.providers.ollama import OllamaChat

    return OllamaChat()


PROVIDERS: Final[Mapping[ProviderName, Provider]] = {
    "anthropic": Provider(
        title="Anthropic messages",
        base_url="https://api.anthropic.com",
        key="ANTHROPIC_API_KEY",
        adapter=_anthropic,
        supports=_all_but("log probabilities", "seed"),
    ),
    "bedrock": Provider(
        title="Amazon Bedrock Converse",
        base_url="https://bedrock-runtime.{AWS_REGION}.amazonaws.com",
        key="AWS_BEARER_TOKEN_BEDROCK",
        key_needed=False,
        other_key=_aws_key,
        adapter=_bedrock,
        supports=_all_but("log probabilities", "seed"),
    ),
    "gemini": Provider(
        title="Google Gemini",
        base_url="https://generativelanguage.googleapis.com",
        key="GEMINI_API_KEY",
        adapter=_gemini,
    ),
    "ollama": Provider(
        title="Ollama's own API",
        base_url="http://localhost:11434",
        key_needed=False,
        adapter=_ollama,
        supports=_all_but("cached tokens"),
    ),
    "openai": Provider(
        title="OpenAI, chat completions",
        base_url="https://api.openai.com/v1",
        key="OPENAI_API_KEY",
        adapter=_chat,
    ),
    "openai-responses": Provider(
        title="OpenAI, responses",
        base_url="https://api.openai.com/v1",
        key="OPENAI_API_KEY",
        adapter=_responses,
        supports=_all_but("seed"),
    ),
    "azure": Provider(title="Azure OpenAI", key="AZURE_OPENAI_API_KEY", adapter=_azure),
    "mistral": Provider(title="Mistral", base_url="https://api.mistral.ai/v1", key="MISTRAL_API_KEY", adapter=_chat),
    "groq": Provider(
        title="Groq",
        base_url="https://api.groq.com/openai/v1",
        key="GROQ_API_KEY",
        adapter=_chat,
        supports=_all_but("log probabilities"),
    ),
    "together": Provider(
        title="Together AI",
        base_url="https://api.together.xyz/v1",
        key="TOGETHER_API_KEY",
        adapter=_chat,
        supports=_all_but("cached tokens"),
    ),
    "openrouter": Provider(
        title="OpenRouter", base_url="https://openrouter.ai/api/v1", key="OPENROUTER_API_KEY", adapter=_chat
    ),
    "deepseek": Provider(
        title="DeepSeek",
        base_url="https://api.deepseek.com",
        key="DEEPSEEK_API_KEY",
        adapter=_chat,
        supports=_all_but("images", "structured output", "seed"),
    ),
    "vllm": Provider(title="vLLM", adapter=_chat),
    "tgi": Provider(title="Text Generation Inference", adapter=_chat, supports=_all_but("reasoning", "cached tokens")),
    "llama-cpp": Provider(title="llama.cpp server", adapter=_chat),
    "openai-compatible": Provider(title="any other server of chat completions", adapter=_chat),
    "python": Provider(title="a Python callable", adapter=None),
    "simulated": Provider(title="the simulated provider", adapter=_chat, supports=frozenset({"text", "seed"})),
}
