"""The official OpenAI and Ollama clients, unchanged, against a gateway: clients.py URL MODEL"""

import math
import sys

import ollama
import openai

gateway, MODEL = sys.argv[1].rstrip("/"), sys.argv[2]
DIMENSION = 384
TEXTS = ["a welder in Chicago", "somebody who joins metal, in Illinois", "a nurse for the night"]


def near(a, b):
    """Base64 carries f32 exactly; its decimal form reads back as the same f32, and as another f64."""
    return len(a) == len(b) == DIMENSION and all(math.isclose(x, y, rel_tol=1e-6, abs_tol=1e-9) for x, y in zip(a, b))


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b))


def refused(error, call):
    try:
        call()
    except error as refusal:
        return refusal
    raise AssertionError(f"{error.__name__} was not raised")


def check_openai():
    # Retries would hide a failure.
    client = openai.OpenAI(base_url=f"{gateway}/v1", api_key="any", max_retries=0)
    create = client.embeddings.create

    # The client asks for base64 where nobody says what to ask for.
    one = create(model=MODEL, input=TEXTS[0])
    assert one.model == MODEL and one.object == "list" and len(one.data) == 1, one.model
    assert one.usage.prompt_tokens == one.usage.total_tokens > 3, one.usage
    many = create(model=MODEL, input=TEXTS)
    assert [item.index for item in many.data] == [0, 1, 2]
    vectors = [item.embedding for item in many.data]
    assert vectors[0] == one.data[0].embedding
    assert cosine(vectors[0], vectors[1]) > cosine(vectors[0], vectors[2]) + 0.1

    for text, vector in zip(TEXTS, vectors):
        as_float = create(model=MODEL, input=text, encoding_format="float").data[0].embedding
        assert isinstance(as_float[0], float) and near(as_float, vector)
    as_base64 = create(model=MODEL, input=TEXTS[0], encoding_format="base64").data[0].embedding
    assert isinstance(as_base64, str) and len(as_base64) == DIMENSION * 4 * 4 // 3, "whoever asks for base64 gets it"

    tokens = [2019, 17095, 2121]
    as_tokens = create(model=MODEL, input=tokens)
    lists = create(model=MODEL, input=[tokens, [6821]])
    assert len(as_tokens.data) == 1 and len(lists.data) == 2
    assert near(as_tokens.data[0].embedding, lists.data[0].embedding)
    assert create(model=MODEL, input=TEXTS[0], dimensions=DIMENSION, user="somebody").data[0].embedding == vectors[0]

    listed = client.models.list()
    assert MODEL in [model.id for model in listed], listed
    assert client.models.retrieve(MODEL).id == MODEL
    unknown = refused(openai.NotFoundError, lambda: create(model="no-such-model", input="a"))
    assert unknown.code == "model_not_found" and MODEL in unknown.message, unknown
    assert refused(openai.NotFoundError, lambda: client.models.retrieve("no-such-model")).code == "model_not_found"
    cut = refused(openai.BadRequestError, lambda: create(model=MODEL, input="a", dimensions=128))
    assert "dimensions" in cut.message and str(DIMENSION) in cut.message, cut
    assert "none" in refused(openai.BadRequestError, lambda: create(model=MODEL, input=[])).message
    return vectors


def check_ollama(vectors):
    client = ollama.Client(host=gateway)
    one = client.embed(model=MODEL, input=TEXTS[0])
    assert one.model == MODEL and one.prompt_eval_count > 3 and one.total_duration > 0, one.model
    assert len(one.embeddings) == 1 and near(one.embeddings[0], vectors[0])
    many = client.embed(model=f"{MODEL}:latest", input=TEXTS, keep_alive="5m", options={"num_ctx": 256}, truncate=True)
    assert len(many.embeddings) == 3 and all(near(a, b) for a, b in zip(many.embeddings, vectors))
    assert client.embed(model=MODEL, input=[]).embeddings == []
    assert near(client.embed(model=MODEL, input=TEXTS[2], dimensions=DIMENSION).embeddings[0], vectors[2])

    unknown = refused(ollama.ResponseError, lambda: client.embed(model="no-such-model", input="a"))
    assert unknown.status_code == 404 and MODEL in unknown.error, unknown
    long = refused(ollama.ResponseError, lambda: client.embed(model=MODEL, input="welder " * 2_000, truncate=False))
    assert long.status_code == 400 and "tokens" in long.error, long
    cut = refused(ollama.ResponseError, lambda: client.embed(model=MODEL, input="a", dimensions=128))
    assert cut.status_code == 400 and "dimensions" in cut.error, cut


check_ollama(check_openai())
