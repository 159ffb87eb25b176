import gradio as gr
from PIL import Image, ImageEnhance, ImageFilter, ImageOps


def develop(photo: Image.Image | None, film: str, grain: float) -> Image.Image:
    """Develop a photo as if it were shot on this film."""
    if photo is None:
        raise gr.Error("Please upload a photo first.")
    photo = ImageOps.exif_transpose(photo).convert("RGB")
    photo.thumbnail((1600, 1600))
    if film == "black and white":
        photo = ImageOps.autocontrast(ImageOps.grayscale(photo), cutoff=1).convert("RGB")
    elif film == "sepia":
        photo = ImageOps.colorize(ImageOps.grayscale(photo), "#2b1608", "#fff1d6")
    elif film == "vivid slide":
        photo = ImageEnhance.Color(ImageEnhance.Contrast(photo).enhance(1.15)).enhance(1.5)
    else:
        photo = ImageOps.invert(photo)
    if grain:
        noise = Image.effect_noise(photo.size, 90).filter(ImageFilter.GaussianBlur(0.6)).convert("RGB")
        photo = Image.blend(photo, noise, grain * 0.25)
    return photo


demo = gr.Interface(
    develop,
    [
        gr.Image(type="pil", label="Photo"),
        gr.Radio(["black and white", "sepia", "vivid slide", "negative"], value="sepia", label="Film"),
        gr.Slider(0, 1, 0.3, label="Grain"),
    ],
    gr.Image(label="Print"),
    title="Darkroom",
    api_name="develop",
)

if __name__ == "__main__":
    demo.launch()
