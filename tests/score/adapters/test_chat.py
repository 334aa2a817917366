from __future__ import annotations

import asyncio
from concurrent.futures import Future

import pytest

from headgate.score.adapters.chat import ChatModel, ModelFailed
from judge_server import JudgeServer


class Omit:
    """Like the marker of OpenAI's client for what was left out."""


def a_chat(server, *, asked=None, error=None):
    def ask(request):
        answered = Future()
        if asked is not None:
            asked.append(request)
        answered.set_exception(error) if error is not None else answered.set_result(server.answer(request))
        return answered

    return ChatModel("small", ask)


def test_a_client_is_like_openais():
    asked = []
    client = a_chat(JudgeServer(text="hi"), asked=asked).openai()
    told = {"temperature": 0, "timeout": 5, "seed": None, "user": Omit(), "extra_body": {"top_k": 1}}
    response = client.chat.completions.create(model="gpt-x", messages=[{"role": "user", "content": "q"}], **told)
    assert response.choices[0].message.content == response["choices"][0]["message"]["content"] == "hi"
    assert response.usage.total_tokens == 15
    assert response.model_dump()["object"] == "chat.completion"
    assert not hasattr(response.choices[0].message, "tool_calls")
    assert asked == [
        {"model": "headgate/small", "messages": [{"role": "user", "content": "q"}], "temperature": 0, "top_k": 1}
    ]


def test_an_async_client():
    async def ask():
        client = a_chat(JudgeServer(text="hi")).async_openai()
        return await client.chat.completions.create(messages=[])

    assert asyncio.run(ask()).choices[0].message.content == "hi"


def test_tools():
    tool = {"type": "function", "function": {"name": "grade", "parameters": {"type": "object", "properties": {}}}}
    response = a_chat(JudgeServer()).openai().chat.completions.create(messages=[], tools=[tool])
    assert response.choices[0].message.tool_calls[0].function.name == "grade"


def test_json_of_a_schema():
    schema = {"type": "object", "properties": {"score": {"type": "number"}}}
    assert a_chat(JudgeServer()).text("grade", schema=schema) == '{"score": 1}'
    assert asyncio.run(a_chat(JudgeServer(text="no")).text_async("grade")) == "no"


def test_what_it_does_not_serve():
    client = a_chat(JudgeServer()).openai()
    with pytest.raises(ValueError, match="leave `stream` out"):
        client.chat.completions.create(messages=[], stream=True)
    for other in (client.responses, client.embeddings, client.moderations):
        with pytest.raises(NotImplementedError, match="hands over chat completions"):
            other.create(input="x")


def test_a_failure_is_raised():
    with pytest.raises(ModelFailed, match="overloaded"):
        a_chat(None, error=ModelFailed("small: overloaded")).complete({"messages": []})
