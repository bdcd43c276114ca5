"""What a caller wants, from the plain words of an utterance."""

import re
from enum import Enum, auto
from functools import lru_cache


class Intent(Enum):
    """Kinds of things that callers say."""

    EMERGENCY = auto()
    ROBOT = auto()
    UNRECORDED = auto()
    TRANSFER = auto()
    MESSAGE = auto()
    CANCEL = auto()
    MOVE = auto()
    BOOK = auto()
    HOURS = auto()
    ADDRESS = auto()
    PRICES = auto()
    DOCTORS = auto()
    REPEAT = auto()
    WAIT = auto()
    GOODBYE = auto()
    NEVER_MIND = auto()
    HELLO = auto()
    THANKS = auto()
    ANY = auto()
    UNSURE = auto()
    WHEN_BOOKED = auto()
    STAFF = auto()


_PERSON = (
    r"(?:(?:a |an |the |some )?(?:real |actual |live |human )*"
    r"(?:person|human|someone|somebody|receptionist|operator|reception|front desk|agent|nurse|doctor|manager|"
    r"member of staff|staff|colleague|people))"
)
_RULES: dict[Intent, tuple[str, ...]] = {
    Intent.EMERGENCY: (
        r"\b(?:emergency|ambulance|chest pains?|heart attack|stroke|unconscious|overdose)\b",
        r"\b(?:can't|cannot) breathe\b",
        r"\bbleeding (?:badly|heavily)\b",
    ),
    Intent.ROBOT: (
        r"\b(?:are|am|is)\b.* (?:you|i|this)\b.* (?:robot|machine|computer|bot|ai|a i|recording)\b",
        r"\bare you\b.* (?:human|a person|real person|real)\b",
        r"\byou(?:'re| are) (?:a )?(?:robot|machine|computer|bot|recording)\b",
    ),
    Intent.UNRECORDED: (
        r"\b(?:don't|do not|rather not|not|never|without|stop)\b.*(?<! a)(?<! any)(?<! my) record(?:ed|ing)?\b",
        r"^no recording\b",
    ),
    Intent.TRANSFER: (
        rf"\b(?:speak|talk|connect me|put me through|put me on|transfer(?: me)?|get me)\b.* (?:to |with )?{_PERSON}\b",
        r"^(?:operator|representative|reception|a human|human|real person|a real person|person|a person)(?: please)?$",
        r"\btransfer me\b",
        r"\bput me through\b",
        r"\bwant a (?:human|person)\b",
        r"\bis there (?:someone|anybody|anyone) (?:i|to|there)\b",
    ),
    Intent.MESSAGE: (
        r"\b(?:take|leave|pass on|give|send)\b.* messages?\b",
        r"\bmessage taken\b",
        r"\blet (?:the |my )?(?:doctor|nurse|dr)\b.*\bknow\b",
        r"\bcall me back\b",
        r"\bring me back\b",
        r"\bcallback\b",
        r"\blet (?:the|my) doctor know\b",
        r"\btell (?:the|my) doctor\b",
        r"\btell doctor\b",
    ),
    Intent.CANCEL: (
        r"\bcancel(?:l?ing|lation)?\b",
        r"\bcall off\b",
        r"\bcan't make (?:it|my)\b",
        r"\bcannot make it\b",
        r"\bwon't make it\b",
        r"\bwon't be able to (?:come|make)\b",
        r"\bdelete (?:my|the) appointment\b",
        r"\bget rid of my appointment\b",
    ),
    Intent.MOVE: (
        r"\b(?:re ?schedul\w*|postpone|push (?:it |my \w+ )?back|bring (?:it )?forward|rearrange|rebook)\b",
        r"\b(?:move|moving|change|changing|shift|switch|swap)\b.*\b(?:appointment|booking|slot|it|day|time|date)\b",
        r"\b(?:different|another|new|other|later|earlier) (?:day|time|date)\b.*\bmy appointment\b",
    ),
    Intent.BOOK: (
        r"\b(?:book|make|schedule|set up|arrange|request|need|want|get|like)\b.*\bappointment\b",
        r"\b(?:can|could|may) (?:i|we) (?:please )?have an? .*\bappointment\b",
        r"\b(?:can|could|may) (?:i|we) (?:please )?have an appointment\b",
        r"\b(?:looking|hoping) for\b.*\bappointment\b",
        r"\bbook(?:ing)?\b",
        r"\bschedule (?:a|an|me)\b",
        r"\b(?:see|visit|seen by) (?:the |a |my )?(?:doctor|dr|nurse)\b",
        r"\bcome in\b",
        r"\b(?:any|anything|next|something) (?:available|free|open|slots?|openings?)\b",
        r"\bavailab(?:le|ility)\b",
        r"(?<!my )(?<!the )(?<!have an )\bappointment (?:for|on|please|at|with)\b",
        r"^(?:an )?appointment$",
        r"\bwhat (?:times?|slots?) do you have\b",
        r"\bdo you have (?:any|some)\b.*\b(?:slots?|times?|on|free)\b",
        r"\bwhat do you have (?:on|for)\b",
        r"\bget a check ?up\b",
        r"\b(?:need|want|like|get) (?:to get )?a (?:check ?up|vaccination|flu shot|blood test|vaccine)\b",
    ),
    Intent.HOURS: (
        r"\b(?:opening|office|business|your) (?:hours?|times?)\b",
        r"\bhours\b",
        r"\b(?:are|re) you (?:guys )?(?:open|closed)\b",
        r"\b(?:when|what time|how late|until when|what days|which days)\b.* (?:open|close|closed|opens|closes)\b",
        r"\bopen (?:on|at|until|tomorrow|today)\b",
    ),
    Intent.ADDRESS: (
        r"(?<!my )(?<!my new )\baddress\b",
        r"\bwhere (?:you|it|that|the (?:practice|office))\b",
        r"\bwhere (?:are|is|exactly|do i|can i find)\b",
        r"\blocated\b",
        r"\blocation\b",
        r"\bdirections\b",
        r"\bhow do i (?:get|find)\b",
        r"\bparking\b",
        r"\bwhich street\b",
        r"\bget there\b",
    ),
    Intent.PRICES: (
        r"\bhow much\b",
        r"\bprices?\b",
        r"\bpricing\b",
        r"\bcosts?\b",
        r"\bcharge\b",
        r"\bfees?\b",
        r"\bexpensive\b",
    ),
    Intent.DOCTORS: (
        r"\b(?:which|what|who|how many)\b.* (?:doctors?|physicians?)\b",
        r"\bnames? of (?:the|your) doctors?\b",
        r"\bdoctors? (?:do you have|work|working|are there)\b",
    ),
    Intent.REPEAT: (
        r"\brepeat\b(?! prescription)",
        r"\bsay (?:that|it) (?:again|one more time)\b",
        r"\b(?:pardon|come again)\b",
        r"\bone more time\b",
        r"\bwhat (?:did|was) (?:you|that)\b(?! (?:time|day))",
        r"\bdidn't (?:catch|get|hear|understand)\b",
        r"\bcan't hear you\b",
        r"^(?:i'm )?sorry(?: what)?$",
        r"^what$",
        r"^excuse me$",
        r"^huh$",
        r"\bsay again\b",
        r"\btell me (?:that )?again\b",
    ),
    Intent.WAIT: (
        r"\b(?:one|just a|wait a|hang on a|give me a|hold on a) (?:moment|second|sec|minute|1)\b",
        r"\b1 (?:moment|second|sec|minute)\b",
        r"\bhold on\b",
        r"\bhang on\b",
        r"\blet me (?:check|think|see|look)\b",
        r"^wait$",
    ),
    Intent.GOODBYE: (
        r"\b(?:good ?bye|bye(?: bye)?|see you|have a (?:nice|good|great|lovely) \w+|talk to you later|hang up)\b",
        r"\bthat(?:'s| is|'ll be|s| will be) (?:all|it|everything)\b",
        r"\bnothing (?:else|more)\b",
        r"\bi'm (?:all set|done|good)\b",
        r"\ball set\b",
    ),
    Intent.NEVER_MIND: (
        r"\b(?:never ?mind|forget (?:it|about it)|leave it|don't (?:book|bother|worry about it)|changed my mind)\b",
    ),
    Intent.HELLO: (
        r"^(?:hello|hi|hey|good (?:morning|afternoon|evening))\b",
        r"\bare you (?:still )?there\b",
        r"\bcan you hear me\b",
        r"\banybody there\b",
    ),
    Intent.THANKS: (r"\b(?:thank you|thanks|thank|cheers|appreciate it)\b",),
    Intent.ANY: (
        r"\b(?:any ?time|anything|any day|whatever|whenever|don't (?:mind|care)|you choose|up to you)\b",
        r"\b(?:earliest|soonest|as soon as possible|asap|next available|(?:first|1th) (?:available|one|slot))\b",
    ),
    Intent.UNSURE: (
        r"\b(?:don't know|not sure|no idea)\b",
        r"\b(?:what|which|when) (?:days? )?(?:do you have|are you free|are available|is free|would be good)\b",
        r"\bthis week\b",
    ),
    Intent.WHEN_BOOKED: (
        r"\bwhen (?:is|was) (?:it|that|my)\b",
        r"\b(?:what|which) (?:time|day)\b.*\b(?:was|is|did) (?:it|that|my|you|i)\b",
    ),
    Intent.STAFF: (
        r"\b(?:prescriptions?|refill|(?:test |lab )?results?|bill|invoice|insurance|referral|sick note|records?)\b",
        r"\bquestion (?:about|for)\b",
    ),
}
_COMPILED = {intent: re.compile("|".join(rules)) for intent, rules in _RULES.items()}

_AFFIRM = re.compile(
    r"\b(?:yes|yeah|yep|yup|yah|ya|sure|correct|right|exactly|absolutely|definitely|certainly|of course|ok|okay|"
    r"perfect|great|fine|lovely|wonderful|please do|go ahead|sounds good|do it|book it|that works|works for me|good|"
    r"uh huh|mm hmm|mhm|confirm(?:ed)?|you got it|yes please|indeed|i do|that's it|alright|all right)\b"
)
_DENY = re.compile(
    r"\b(?:no|nope|nah|not|wrong|incorrect|don't(?! know)|negative|never|wait|actually|change|instead|isn't|cancel)\b"
)
_ASKING = re.compile(r"\b(?:how|what|when|where|which|who|why|wondering|is it|is there|is that|do you|can i)\b")
_DENIED_AGREEMENT = re.compile(
    r"\bnot (?:right|correct|quite|good|really|sure|okay|ok|fine)\b|\bisn't right\b|\bincorrect\b"
)
_AGREED_DENIAL = re.compile(
    r"^(?:no )+(?:that's|that is|it's|this is|it is|yes)? ?(?:right|correct|fine|good|perfect|great|okay|ok|yes|yeah)\b"
    r"|\bwhy not\b|\bno problem\b|\bnot a problem\b"
)


@lru_cache(maxsize=1024)  # as for hear.words
def find(flat: str) -> frozenset[Intent]:
    """Everything that the words can mean; which of it counts is the policy's matter."""
    return frozenset(intent for intent, rule in _COMPILED.items() if rule.search(flat))


def verdict(flat: str) -> bool | None:
    """Yes, no, or neither. "No, that's right" is a yes, "not right" a no, "right, so how long …" neither: what is
    taken for a yes may be acted on, so it must not be found in the middle of something else."""
    if _DENIED_AGREEMENT.search(flat):
        return False
    if _AGREED_DENIAL.search(flat):
        return True
    if _DENY.search(flat):
        return False
    agreed = _AFFIRM.search(flat)
    if agreed is None or _ASKING.search(flat):
        return None
    at_the_beginning = len(flat[: agreed.start()].split()) <= 2
    return True if at_the_beginning or len(flat.split()) <= 5 else None
