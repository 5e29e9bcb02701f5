// OpenAI's JavaScript SDK against Confab; see scripts/sdk/run.

const assert = require("node:assert/strict");
const { test } = require("node:test");
const OpenAI = require("openai").OpenAI;

const MODEL = "gpt-4-turbo";
const EMBEDDING = "confab-hash-384";
const LONG = "word ".repeat(2000);
const { CONFAB_URL, CONFAB_API_KEY, CONFAB_CONVERSATION, CONFAB_POOR_KEY } = process.env;

const client = (apiKey = CONFAB_API_KEY) => new OpenAI({ baseURL: `${CONFAB_URL}/v1`, apiKey });
const user = (content) => [{ role: "user", content }];
const api = client();

test("models are listed and found", async () => {
  const names = [];
  for await (const model of api.models.list()) names.push(model.id);
  assert.ok(names.includes(MODEL) && names.includes(EMBEDDING), names.join());
  assert.equal((await api.models.retrieve(MODEL)).id, MODEL);
});

test("an answer comes whole", async () => {
  const answer = await api.chat.completions.create({ model: MODEL, messages: user("hello") });
  assert.match(answer.id, /^chatcmpl-/);
  assert.match(answer.choices[0].message.content, /hello/);
  assert.equal(answer.choices[0].finish_reason, "stop");
  const { prompt_tokens, completion_tokens, total_tokens } = answer.usage;
  assert.equal(total_tokens, prompt_tokens + completion_tokens);
  assert.ok(answer._request_id);
});

test("an answer is streamed", async () => {
  const stream = await api.chat.completions.create({
    model: MODEL,
    messages: user("hello"),
    stream: true,
    stream_options: { include_usage: true },
  });
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  const choices = chunks.flatMap((chunk) => chunk.choices);
  assert.match(choices.map((choice) => choice.delta.content ?? "").join(""), /hello/);
  assert.equal(choices.at(-1).finish_reason, "stop");
  assert.ok(chunks.at(-1).usage.total_tokens > 0);
});

test("a tool is called, also in a stream", async () => {
  const tools = [{ type: "function", function: { name: "weather", parameters: { type: "object", properties: {} } } }];
  const ask = { model: MODEL, messages: user('call weather {"city": "Lagos"}'), tools };
  const answer = await api.chat.completions.create(ask);
  const [call] = answer.choices[0].message.tool_calls;
  assert.equal(call.function.name, "weather");
  assert.deepEqual(JSON.parse(call.function.arguments), { city: "Lagos" });
  const streamed = await api.chat.completions.stream(ask).finalMessage();
  assert.deepEqual(JSON.parse(streamed.tool_calls[0].function.arguments), { city: "Lagos" });
});

test("a stream may be aborted", async () => {
  const stream = await api.chat.completions.create({ model: MODEL, messages: user(LONG), stream: true });
  for await (const chunk of stream) {
    assert.equal(chunk.object, "chat.completion.chunk");
    stream.controller.abort();
  }
  assert.ok(stream.controller.signal.aborted);
});

test("texts become vectors", async () => {
  // The SDK asks for Base64 by itself.
  const made = await api.embeddings.create({ model: EMBEDDING, input: ["a black cat", "rain"] });
  const plain = await api.embeddings.create({ model: EMBEDDING, input: "rain", encoding_format: "float" });
  assert.equal(made.data[0].embedding.length, 384);
  const near = plain.data[0].embedding.every((it, at) => Math.abs(it - made.data[1].embedding[at]) < 1e-5);
  assert.ok(near);
});

test("each failure has its class", async () => {
  await assert.rejects(client("sk-confab-none").models.list(), (error) => {
    return error instanceof OpenAI.AuthenticationError && error.code === "invalid_api_key";
  });
  const unknown = api.chat.completions.create({ model: "gpt-none", messages: user("hello") });
  await assert.rejects(unknown, (error) => {
    return error instanceof OpenAI.NotFoundError && error.code === "model_not_found" && Boolean(error.requestID);
  });
  const tokens = api.embeddings.create({ model: EMBEDDING, input: [[1, 2, 3]] });
  await assert.rejects(tokens, (error) => error instanceof OpenAI.BadRequestError && error.param === "input");
});

test("no money is told at once", { skip: !CONFAB_POOR_KEY && "CONFAB_POOR_KEY names none" }, async () => {
  const asked = client(CONFAB_POOR_KEY).chat.completions.create({ model: MODEL, messages: user("hello") });
  await assert.rejects(asked, (error) => {
    return error instanceof OpenAI.RateLimitError && error.code === "insufficient_quota";
  });
});

test("a stored conversation goes on", { skip: !CONFAB_CONVERSATION && "CONFAB_CONVERSATION names none" }, async () => {
  const ask = {
    model: MODEL,
    messages: user("from JavaScript"),
    metadata: { conversation_id: CONFAB_CONVERSATION },
  };
  const headers = { "Idempotency-Key": "javascript" };
  const answer = await api.chat.completions.create(ask, { headers });
  assert.match(answer.choices[0].message.content, /from JavaScript/);
  const stream = await api.chat.completions.create({ ...ask, stream: true }, { headers });
  let text = "";
  for await (const chunk of stream) text += chunk.choices[0].delta.content ?? "";
  assert.equal(text, answer.choices[0].message.content);
});
