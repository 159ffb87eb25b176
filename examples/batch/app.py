import time
from collections import Counter

import gradio as gr

SAMPLES = {
    "English": "the quick brown fox jumps over the lazy dog and then it walks with the others to their house",
    "German": "der schnelle braune fuchs springt über den faulen hund und dann geht er mit den anderen nach haus",
    "French": "le rapide renard brun saute par dessus le chien paresseux et puis il va avec les autres à la maison",
    "Spanish": "el rápido zorro marrón salta sobre el perro perezoso y luego se va con los otros a la casa",
    "Italian": "la rapida volpe marrone salta sopra il cane pigro e poi va con gli altri verso la loro casa",
    "Dutch": "de snelle bruine vos springt over de luie hond en dan gaat hij met de anderen naar het huis",
}


def trigrams(text: str) -> Counter:
    text = f"  {text.lower()}  "
    return Counter(text[i : i + 3] for i in range(len(text) - 2))


PROFILES = {language: trigrams(sample) for language, sample in SAMPLES.items()}


def guess(sentences: list[str]) -> list[list[dict[str, float]]]:
    """The likely languages of each sentence of a batch."""
    time.sleep(0.5)  # the fixed cost of one call, however many sentences are in it
    return [[likelihoods(sentence) for sentence in sentences]]


def likelihoods(sentence: str) -> dict[str, float]:
    grams = trigrams(sentence)
    scores = {name: sum((grams & profile).values()) for name, profile in PROFILES.items()}
    total = sum(scores.values()) or 1
    return {name: score / total for name, score in scores.items()}


demo = gr.Interface(
    guess,
    gr.Textbox(label="Sentence", placeholder="Write something in one of six languages"),
    gr.Label(label="Language", num_top_classes=3),
    title="Language guesser",
    api_name="guess",
    batch=True,
    max_batch_size=16,
)

if __name__ == "__main__":
    demo.launch()
