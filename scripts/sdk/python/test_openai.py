"""OpenAI's Python SDK against Confab; see scripts/sdk/run."""

import json
import os
import unittest

import openai
from openai import OpenAI

MODEL = "gpt-4-turbo"
EMBEDDING = "confab-hash-384"
LONG = "word " * 2000
CONVERSATION = os.environ.get("CONFAB_CONVERSATION")
POOR_KEY = os.environ.get("CONFAB_POOR_KEY")


def client(key=None):
    return OpenAI(
        base_url=os.environ["CONFAB_URL"] + "/v1",
        api_key=key or os.environ["CONFAB_API_KEY"],
    )


def user(text):
    return [{"role": "user", "content": text}]


class Models(unittest.TestCase):
    def test_models_are_listed_and_found(self):
        with client() as api:
            names = [model.id for model in api.models.list()]
            self.assertIn(MODEL, names)
            self.assertIn(EMBEDDING, names)
            self.assertEqual(api.models.retrieve(MODEL).id, MODEL)


class Chat(unittest.TestCase):
    def test_an_answer_comes_whole(self):
        with client() as api:
            answer = api.chat.completions.create(model=MODEL, messages=user("hello"))
            self.assertTrue(answer.id.startswith("chatcmpl-"))
            self.assertIn("hello", answer.choices[0].message.content)
            self.assertEqual(answer.choices[0].finish_reason, "stop")
            usage = answer.usage
            self.assertEqual(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens)

    def test_an_answer_is_streamed(self):
        with client() as api:
            stream = api.chat.completions.create(
                model=MODEL, messages=user("hello"), stream=True, stream_options={"include_usage": True}
            )
            chunks = list(stream)
            text = "".join(it.choices[0].delta.content or "" for it in chunks if it.choices)
            self.assertIn("hello", text)
            self.assertEqual([it.choices[0].finish_reason for it in chunks if it.choices][-1], "stop")
            self.assertGreater(chunks[-1].usage.total_tokens, 0)
            self.assertEqual(len({it.id for it in chunks}), 1)

    def test_a_tool_is_called(self):
        tool = {
            "type": "function",
            "function": {
                "name": "weather",
                "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
            },
        }
        with client() as api:
            answer = api.chat.completions.create(
                model=MODEL, messages=user('call weather {"city": "Lagos"}'), tools=[tool]
            )
            self.assertEqual(answer.choices[0].finish_reason, "tool_calls")
            call = answer.choices[0].message.tool_calls[0]
            self.assertEqual(call.function.name, "weather")
            self.assertEqual(json.loads(call.function.arguments), {"city": "Lagos"})

    def test_a_stream_may_be_left(self):
        with client() as api:
            with api.chat.completions.create(model=MODEL, messages=user(LONG), stream=True) as stream:
                next(stream)

    def test_the_answer_says_what_is_left(self):
        with client() as api:
            raw = api.chat.completions.with_raw_response.create(model=MODEL, messages=user("hello"))
            self.assertTrue(raw.request_id)
            self.assertTrue(raw.headers["x-ratelimit-remaining-requests"].isdigit())

    @unittest.skipUnless(CONVERSATION, "CONFAB_CONVERSATION names none")
    def test_a_stored_conversation_goes_on(self):
        with client() as api:
            ask = {"model": MODEL, "messages": user("from Python"), "metadata": {"conversation_id": CONVERSATION}}
            headers = {"Idempotency-Key": "python"}
            answer = api.chat.completions.create(**ask, extra_headers=headers)
            self.assertIn("from Python", answer.choices[0].message.content)
            stream = api.chat.completions.create(**ask, stream=True, extra_headers=headers)
            text = "".join(it.choices[0].delta.content or "" for it in stream)
            self.assertEqual(text, answer.choices[0].message.content)


class Embeddings(unittest.TestCase):
    def test_texts_become_vectors(self):
        with client() as api:
            # The SDK asks for Base64 by itself.
            made = api.embeddings.create(model=EMBEDDING, input=["a black cat", "a black cat", "rain"])
            vectors = [it.embedding for it in made.data]
            self.assertEqual([len(it) for it in vectors], [384] * 3)
            self.assertEqual(vectors[0], vectors[1])
            plain = api.embeddings.create(model=EMBEDDING, input="rain", encoding_format="float")
            for one, other in zip(plain.data[0].embedding, vectors[2]):
                self.assertAlmostEqual(one, other, places=5)


class Errors(unittest.TestCase):
    def test_each_has_its_exception(self):
        with client("sk-confab-none") as api:
            with self.assertRaises(openai.AuthenticationError) as caught:
                api.models.list()
            self.assertEqual(caught.exception.code, "invalid_api_key")
        with client() as api:
            with self.assertRaises(openai.NotFoundError) as caught:
                api.chat.completions.create(model="gpt-none", messages=user("hello"))
            self.assertEqual(caught.exception.code, "model_not_found")
            self.assertTrue(caught.exception.request_id)
            with self.assertRaises(openai.BadRequestError) as caught:
                api.embeddings.create(model=EMBEDDING, input=[[1, 2, 3]])
            self.assertEqual(caught.exception.param, "input")
            with self.assertRaises(openai.NotFoundError):
                api.images.generate(model=MODEL, prompt="a cat")

    @unittest.skipUnless(POOR_KEY, "CONFAB_POOR_KEY names none")
    def test_no_money_is_told_at_once(self):
        with client(POOR_KEY) as api:
            with self.assertRaises(openai.RateLimitError) as caught:
                api.chat.completions.create(model=MODEL, messages=user("hello"))
            self.assertEqual(caught.exception.code, "insufficient_quota")
            # It was not tried again.
            self.assertEqual(caught.exception.response.request.headers["x-stainless-retry-count"], "0")


if __name__ == "__main__":
    unittest.main()
