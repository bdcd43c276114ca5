"""PURE: what a voice says of itself when it is listed, in its own language."""

RATE = 16_000
SECONDS = 4.0
"""At most: a list of thirty voices stays below the 4 MB that a gRPC client takes by default."""

_TEXTS = {
    "ar": "مرحبًا! هكذا يبدو صوتي. كيف يمكنني مساعدتك؟",
    "de": "Hallo! So klinge ich. Wie kann ich Ihnen helfen?",
    "en": "Hello! This is how I sound. May I help you?",
    "es": "¡Hola! Así suena mi voz. ¿En qué puedo ayudarle?",
    "fr": "Bonjour ! Voici ma voix. Puis-je vous aider ?",
    "hi": "नमस्ते! मेरी आवाज़ ऐसी है। आपको क्या मदद चाहिए?",
    "it": "Buongiorno! Questa è la mia voce. Come posso aiutarla?",
    "nl": "Hallo! Zo klink ik. Waarmee kan ik u helpen?",
    "pt": "Olá! Esta é a minha voz. Como posso ajudar?",
}


def sample_text(language: str) -> str:
    """For a BCP 47 tag; English where the language has none."""
    return _TEXTS.get(language.split("-")[0].lower(), _TEXTS["en"])
