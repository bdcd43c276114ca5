"""What a caller wants, from the plain words of an utterance."""

import re
from enum import Enum, auto


class Intent(Enum):
    """Kinds of things that callers say."""

    EMERGENCY = auto()
    ROBOT = auto()
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
    KEYPAD = auto()


_PERSON = r"(?:(?:a |an |the |some )?(?:real |actual |live |human )*(?:person|human|someone|somebody|receptionist|operator|"
_PERSON += r"reception|front desk|agent|nurse|doctor|manager|member of staff|staff|colleague|people))"
_RULES: dict[Intent, str] = {
    Intent.EMERGENCY: r"\b(?:emergency|ambulance|chest pains?|can't breathe|cannot breathe|heart attack|stroke|"
    r"bleeding (?:badly|heavily)|unconscious|overdose)\b",
    Intent.ROBOT: r"\b(?:are|am|is)\b.* (?:you|i|this)\b.* (?:robot|machine|computer|bot|ai|a i|recording|human|"
    r"real person|real)\b|\byou(?:'re| are) (?:a )?(?:robot|machine|computer|bot|recording)\b",
    Intent.TRANSFER: rf"\b(?:speak|talk|connect me|put me through|put me on|transfer(?: me)?|get me)\b.* (?:to |with )?{_PERSON}\b"
    r"|^(?:operator|representative|reception|a human|human|real person|a real person|person|a person)(?: please)?$"
    r"|\btransfer me\b|\bput me through\b|\bwant a (?:human|person)\b|\bis there (?:someone|anybody|anyone) (?:i|to|there)\b",
    Intent.MESSAGE: r"\b(?:take|leave|pass on|give|send)\b.* messages?\b|\bcall me back\b|\bring me back\b|\bcallback\b"
    r"|\blet (?:the|my) doctor know\b|\btell (?:the|my) doctor\b|\btell doctor\b",
    Intent.CANCEL: r"\bcancel(?:l?ing|lation)?\b|\bcall off\b|\bcan't make (?:it|my)\b|\bcannot make it\b|\bwon't make it\b"
    r"|\bwon't be able to (?:come|make)\b|\bdelete (?:my|the) appointment\b|\bget rid of my appointment\b",
    Intent.MOVE: r"\b(?:re ?schedul\w*|postpone|push (?:it |my \w+ )?back|bring (?:it )?forward|rearrange|rebook)\b"
    r"|\b(?:move|moving|change|changing|shift|switch|swap)\b.*\b(?:appointment|booking|slot|it|day|time|date)\b"
    r"|\b(?:different|another|new|other|later|earlier) (?:day|time|date)\b.*\bmy appointment\b",
    Intent.BOOK: r"\b(?:book|make|schedule|set up|arrange|need|want|get|like|have|looking for|hoping for|request)\b.*\bappointment\b"
    r"|\bbook(?:ing)?\b|\bschedule (?:a|an|me)\b|\b(?:see|visit|seen by) (?:the |a |my )?(?:doctor|dr|nurse)\b|\bcome in\b"
    r"|\b(?:any|anything|next|something) (?:available|free|open|slots?|openings?)\b|\bavailab(?:le|ility)\b"
    r"|\bappointment (?:for|on|please|at|with)\b|^(?:an )?appointment$|\bwhat (?:times?|slots?) do you have\b"
    r"|\bdo you have (?:any|some)\b.*\b(?:slots?|times?|on|free)\b|\bwhat do you have (?:on|for)\b|\bget a check ?up\b"
    r"|\b(?:need|want|like|get) (?:to get )?a (?:check ?up|vaccination|flu shot|blood test|vaccine)\b",
    Intent.HOURS: r"\b(?:opening|office|business|your) (?:hours|times)\b|\bhours\b|\b(?:are|re) you (?:guys )?(?:open|closed)\b"
    r"|\b(?:when|what time|how late|until when|what days|which days)\b.* (?:open|close|closed|opens|closes)\b|\bopen (?:on|at|until|tomorrow|today)\b",
    Intent.ADDRESS: r"\baddress\b|\bwhere (?:are|is|exactly|do i|can i find)\b|\blocated\b|\blocation\b|\bdirections\b"
    r"|\bhow do i (?:get|find)\b|\bparking\b|\bwhich street\b|\bget there\b",
    Intent.PRICES: r"\bhow much\b|\bprices?\b|\bpricing\b|\bcosts?\b|\bcharge\b|\bfees?\b|\bexpensive\b",
    Intent.DOCTORS: r"\b(?:which|what|who|how many)\b.* (?:doctors?|physicians?)\b|\bnames? of (?:the|your) doctors?\b"
    r"|\bdoctors? (?:do you have|work|working|are there)\b",
    Intent.REPEAT: r"\brepeat\b(?! prescription)|\bsay (?:that|it) (?:again|one more time)\b|\b(?:pardon|come again)\b|\bone more time\b"
    r"|\bwhat (?:did|was) (?:you|that)\b(?! (?:time|day))|\bdidn't (?:catch|get|hear|understand)\b|\bcan't hear you\b"
    r"|^(?:i'm )?sorry(?: what)?$|^what$|^excuse me$|^huh$|\bsay again\b",
    Intent.WAIT: r"\b(?:one|just a|wait a|hang on a|give me a|hold on a) (?:moment|second|sec|minute|1)\b|\b1 (?:moment|second|sec|minute)\b"
    r"|\bhold on\b|\bhang on\b|\blet me (?:check|think|see|look)\b|^wait$",
    Intent.GOODBYE: r"\b(?:good ?bye|bye(?: bye)?|see you|have a (?:nice|good|great|lovely) \w+|talk to you later|hang up)\b"
    r"|\bthat(?:'s| is|'ll be|s| will be) (?:all|it|everything)\b|\bnothing (?:else|more)\b|\bi'm (?:all set|done|good)\b|\ball set\b",
    Intent.NEVER_MIND: r"\b(?:never ?mind|forget (?:it|about it)|leave it|don't (?:book|bother|worry about it)|changed my mind)\b",
    Intent.HELLO: r"^(?:hello|hi|hey|good (?:morning|afternoon|evening))\b|\bare you (?:still )?there\b|\bcan you hear me\b|\banybody there\b",
    Intent.THANKS: r"\b(?:thank you|thanks|thank|cheers|appreciate it)\b",
    Intent.ANY: r"\b(?:any ?time|anything|any day|whatever|whenever|don't (?:mind|care)|earliest|first (?:available|one|slot)|soonest"
    r"|as soon as possible|asap|next available|1th (?:available|one|slot)|you choose|up to you)\b",
    Intent.KEYPAD: r"\b(?:type|key|press|dial|enter|keypad|punch)\b",
}
_COMPILED = {intent: re.compile(rule) for intent, rule in _RULES.items()}

_AFFIRM = re.compile(
    r"\b(?:yes|yeah|yep|yup|yah|ya|sure|correct|right|exactly|absolutely|definitely|certainly|of course|ok|okay|perfect|"
    r"great|fine|lovely|wonderful|please do|go ahead|sounds good|do it|book it|that works|works for me|good|uh huh|mm hmm|"
    r"mhm|confirm(?:ed)?|you got it|yes please|indeed|i do|that's it|alright|all right)\b"
)
_DENY = re.compile(
    r"\b(?:no|nope|nah|not|wrong|incorrect|don't|negative|never|wait|actually|change|instead|isn't|cancel)\b"
)
_DENIED_AGREEMENT = re.compile(r"\bnot (?:right|correct|quite|good|really|sure|okay|ok|fine)\b|\bisn't right\b|\bincorrect\b")
_AGREED_DENIAL = re.compile(
    r"^(?:no )+(?:that's|that is|it's|this is|it is|yes)? ?(?:right|correct|fine|good|perfect|great|okay|ok|yes|yeah)\b"
    r"|\bwhy not\b|\bno problem\b|\bnot a problem\b"
)


def find(flat: str) -> frozenset[Intent]:
    """Everything that the words can mean; which of it counts is the policy's matter."""
    return frozenset(intent for intent, rule in _COMPILED.items() if rule.search(flat))


def verdict(flat: str) -> bool | None:
    """Yes, no, or neither. "No, that's right" is a yes, "not right" a no."""
    if _DENIED_AGREEMENT.search(flat):
        return False
    if _AGREED_DENIAL.search(flat):
        return True
    if _DENY.search(flat):
        return False
    return True if _AFFIRM.search(flat) else None
