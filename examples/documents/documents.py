"""A small document pipeline: extract, chunk, embed, store, with progress at each step.

    DOCUMENTS_OUT=/tmp/index python3 -m warren_runner -A documents        (started by a worker, in this folder)

    documents.names()                          -> ["bees.txt", ...]
    documents.process("bees.txt")              -> {"name": ..., "chunks": 9, "words": 640, "path": ...}
    documents.search("how do bees find food")  -> [{"name": "bees.txt", "chunk": 3, "score": 0.41, "text": ...}, ...]

Texts are read from DOCUMENTS_TEXTS (by default the folder texts beside this file); the index is written to DOCUMENTS_OUT
(by default documents-out in the current folder). Nothing but the standard library is needed.
"""

import json
import math
import os
import re
import time
import zlib

from warren_runner import progress, task

DIMENSIONS = 1024
CHUNK_WORDS = 80
OVERLAP_WORDS = 20

WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
# Words that say nothing about what a text is about.
COMMON = frozenset("""a about after all also an and are as at be been but by can could do does for from had has have how if in
    into is it its may more most no not of on one or other out over so some such than that the their them then there these
    they this to too two up was were what when where which while who why will with would you your""".split())


def texts_folder():
    return os.environ.get("DOCUMENTS_TEXTS") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "texts")


def output_folder(output=None):
    """Where the index goes; `output` names a part of its own, so that two users do not mix."""
    base = os.environ.get("DOCUMENTS_OUT") or "documents-out"
    return os.path.join(base, plain_name(output)) if output else base


def plain_name(name):
    """Names come from messages: none may lead out of its folder."""
    if not isinstance(name, str) or not name or name.startswith(".") or "/" in name or "\0" in name:
        raise ValueError(f"{name!r} is not the name of a file or folder here")
    return name


# --- the four steps --------------------------------------------------------------------------------------------------

def extract(name):
    """The title (the first line) and the text behind it."""
    path = os.path.join(texts_folder(), plain_name(name))
    with open(path, encoding="utf-8") as file:
        title, _, text = file.read().partition("\n")
    if not WORD.search(text):
        raise ValueError(f"{name} has no text")
    return title.strip(), text


def chunk(text):
    """Pieces of about CHUNK_WORDS words that end with a sentence; each begins with the end of the one before."""
    sentences = re.split(r"(?<=[.!?])\s+", " ".join(text.split()))
    pieces = []
    piece = []
    fresh = False
    for sentence in sentences:
        piece.append(sentence)
        fresh = True
        if count_words(piece) >= CHUNK_WORDS:
            pieces.append(" ".join(piece))
            while piece and count_words(piece) > OVERLAP_WORDS:
                piece.pop(0)
            fresh = False
    if fresh:
        pieces.append(" ".join(piece))
    return pieces


def count_words(sentences):
    return sum(len(sentence.split()) for sentence in sentences)


def embed(text):
    """A vector of length 1: each word and each pair of words is hashed to one place and one sign.

    Texts that share words get vectors that point the same way; that is all, but it is enough to search a few documents.
    """
    words = [stem(word) for word in WORD.findall(text.lower()) if word not in COMMON]
    weights = {}
    for feature, weight in [(word, 1.0) for word in words] + [(" ".join(pair), 0.5) for pair in zip(words, words[1:])]:
        weights[feature] = weights.get(feature, 0.0) + weight
    vector = [0.0] * DIMENSIONS
    for feature, weight in weights.items():
        number = zlib.crc32(feature.encode("utf-8"))
        # A word that comes ten times says more than one that comes once, but not ten times more.
        vector[number % DIMENSIONS] += math.sqrt(weight) * (1 if number & 0x80000000 else -1)
    length = math.sqrt(sum(x * x for x in vector))
    return [round(x / length, 6) for x in vector] if length else vector


def stem(word):
    """Plural and singular meet in the middle."""
    for ending in ("ies", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[:-len(ending)] + ("y" if ending == "ies" else "")
    return word


def store(folder, name, document):
    """Whole or not at all: a reader never sees half a file, and a second run replaces the first."""
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, name + ".json")
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(document, file)
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    return path


# --- tasks -----------------------------------------------------------------------------------------------------------

@task
def names():
    """The documents there are."""
    return sorted(name for name in os.listdir(texts_folder()) if name.endswith(".txt"))


@task(autoretry_for=(BlockingIOError, TimeoutError), max_retries=3, default_retry_delay=5)
def process(name, output=None, pause=0):
    """Reads one document, cuts and embeds it, and writes it into the index. `pause` slows it down for people who watch."""
    progress(0, 4, "extract", document=name)
    title, text = extract(name)
    time.sleep(pause)

    progress(1, 4, "chunk", document=name)
    pieces = chunk(text)
    time.sleep(pause)

    vectors = []
    for number, piece in enumerate(pieces):
        progress(round(2 + number / len(pieces), 2), 4, "embed", document=name, chunk=number + 1, chunks=len(pieces))
        vectors.append(embed(f"{title} {piece}"))
        time.sleep(pause / len(pieces))

    progress(3, 4, "store", document=name)
    document = {"name": name, "title": title, "dimensions": DIMENSIONS,
                "chunks": [{"text": piece, "vector": vector} for piece, vector in zip(pieces, vectors)]}
    path = store(output_folder(output), name, document)
    time.sleep(pause)
    words = len(WORD.findall(text))
    print(f"{name}: {words} words in {len(pieces)} chunks")
    return {"name": name, "title": title, "words": words, "chunks": len(pieces), "path": path}


@task
def search(question, top=3, output=None):
    """The stored chunks that are nearest to the question, the best first."""
    folder = output_folder(output)
    wanted = embed(question)
    hits = []
    for file_name in sorted(os.listdir(folder)):
        if not file_name.endswith(".json"):
            continue
        with open(os.path.join(folder, file_name), encoding="utf-8") as file:
            document = json.load(file)
        for number, piece in enumerate(document["chunks"]):
            score = sum(x * y for x, y in zip(wanted, piece["vector"]))
            hits.append({"name": document["name"], "chunk": number, "score": round(score, 4), "text": piece["text"]})
    hits.sort(key=lambda hit: -hit["score"])
    return hits[:top]
