"""English words and endings for `lexical.py`. PURE data."""

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _endings(text: str) -> re.Pattern[str]:
    """Matches a text that ends in one of the lines."""
    lines = (line.strip() for line in text.strip().splitlines())
    return re.compile(r"\b(?:" + "|".join(lines) + r")$")


ARTICLES = _words("a an the my your his her its our their this these those some any every each another no both all")
PREPOSITIONS = _words(
    "to for at on in of with from by about into onto between until till before after around near under over during "
    "since without towards through as per behind beside against except despite upon among within "
    "including regarding"
)
CONJUNCTIONS = _words(
    "and but or nor because so if when while whether than which who whose where what how why that although unless "
    "though cause"
)
AUXILIARIES = _words(
    "am are was were be been being can would could should might must may will shall cannot can't won't don't i'm i'd "
    "i'll i've you're we're we'd we'll we've they're it'll i we he she they who's what's where's let's there's it's "
    "that's he's she's isn't doesn't didn't couldn't wouldn't not does did"
)
FILLERS = _words(
    "um uh er erm hmm well just really very quite maybe perhaps actually basically also next last first second third "
    "half mister mr mrs ms miss doctor dr number exactly rather still only even about almost nearly missus"
)
OPENS = ARTICLES | PREPOSITIONS | CONJUNCTIONS | AUXILIARIES | FILLERS
"""Words after which a sentence goes on."""

ANSWERS = _words(
    "yes yeah yep yup no nope okay ok sure correct right exactly absolutely definitely certainly fine perfect great "
    "thanks bye goodbye hello hi cheers lovely alright please sorry pardon wrong good nothing none"
)
BACKCHANNELS = _words(
    "mm mhm mmhm mm-hm mm-hmm mmm hm hmm uh-huh uhuh uh huh ah oh aha yeah yep yup yes okay ok right sure i see got it "
    "alright good great fine cool nice really true m'hm hmhm mhmm ok-okay hum"
)
DAYS = _words("monday tuesday wednesday thursday friday saturday sunday today tomorrow")
HOURS = _words(
    "morning afternoon evening noon midnight o'clock am pm thirty fifteen forty-five one two three four five six seven "
    "eight nine ten eleven twelve"
)
UNITS = _words("zero oh o one two three four five six seven eight nine double")
TWO_DIGITS = _words(
    "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty "
    "seventy eighty ninety hundred triple"
)

CLOSED = _endings(
    """
    (?:hold|hang|go|carry|move|so) on
    rather not
    (?:come|fill|log|sign|drop|call|be|get|coming|go) in
    that(?:'s| is) it
    (?:come|start) over
    (?:think|hope|guess) so
    (?:of course|i'm|maybe|why|or|i hope|probably) not
    not really
    not at all
    after all
    (?:take|want|do|like|about|with|for|have|mean|need|got|is|understand|say|repeat|spell|explain) (?:that|this)
    (?:check|change|try|send|use|cancel|read|believe|at|of|to|after|before|than) (?:that|this)
    (?:take|want|do|like|about|with|for|have|mean|need|heard|got|said|know|is|understand|see) (?:those|these)
    (?:about|like|take|want|have|that's|that is|you|need) (?:all|both|some|another|each)
    that(?:'s| is|'ll be) all
    the (?:last|next)
    hear from you
    not (?:yet|now)
    if (?:(?:that|it)(?:'s| is| would be) )?possible
    is that possible
    (?:the|a|my|your|his|her|our|another|family) doctor
    (?:very|quite|so|feel|feels|as|really|not) well
    (?:all|everything|what) (?:i|we) (?:need|needed|want|wanted) to know
    """
)
"""They look open and are not: particles of verbs, pronouns, conditions."""

LEAD = r"^(?:(?:and|so|but|well|hello|hi|sorry|okay|um|uh|yes|no|oh|please|excuse me|good morning)[, ]+)*"
SHORT_ANSWER = re.compile(
    r"(?:^(?:(?:and|oh|well) )?(?:yes|no|yeah|okay|of course|sure)(?: of course)? |"
    r"^\w+ \w+.* (?:as|than|whenever|best|wish|what|where|who|how) )"
    r"(?:i (?:am|can|do|will|did|have)|(?:we|they|you|he|she|it|there) "
    r"(?:are|is|do|does|can|will|did|have|has|was|were|would))$"
)
""""Yes, I can", "where you are": a verb after its subject ends only these."""

OPEN = _endings(
    r"""
    (?:name|number|address|birthday|birth|date|email|code|postcode|question|problem|reason|surname) (?:is|was|would be)
    (?:i|we)(?:'d| would| should| could)?(?: really)? (?:like|want|need|wanted|prefer|think|wonder|mean|believe)
    (?:i|we) (?:would|should|'d) (?:rather|prefer|like)
    (?:tell|give|show|send|let|help|remind|put|connect) (?:me|us|him|her|them)
    (?:could|can|would|may|do|did|are|should|have|will|is|was) (?:i|you|we|they|he|she|there|it)
    (?:to|can|could|i'll|and|want to|you) (?:make|have|get|see|ask|know|bring|book|change|arrange|schedule|speak|talk)
    (?:to|can|could|i'll|and|want to|you) (?:find|give|say|take|reschedule|move|check|leave|tell|come|reach|confirm)
    (?:looking|calling|asking|waiting|ringing|phoning|wondering|trying|going|able|because of|sort|kind|supposed)
    let me (?:see|think|check|look)
    (?:couple|plenty|lot)
    (?:at|for|from|until|till) (?:a )?quarter
    (?:quarter|half) (?:past|to)
    (?:tell|told|asked|ask|inform) (?:doctor|dr|mr|mrs|ms|miss|the) \w+
    (?:is|was|are|were|has|have|had|do|which day|what time|how much|how many|how long)
    (?:new|available|possible|interested|afraid)
    (?:that|because|if|what|when|where|which|whether|how|until|before|so) you
    (?:would|do) you (?:mind|happen)
    (?:a|an|another|my|your|his|her|our|their|some) (?:new|old|small|big|large|simple|short|long|quick|whole|different)
    (?:a|an|another|my|your|his|her|our|their|some) (?:good|bad|normal|special|full|free|second|other|own|right|left)
    (?:i'm|am|are|is|was|were|been|be) (?:allergic|grateful|hoping|planning|having|getting|taking|due)
    (?:that|because|if|what|when|where|which|whether|how|until|before|while|but|and) it
    (?:i|you|we|they|he|she|it|have|has|had|is|are|was|were) (?:already|always|never|often|usually)
    (?:i|we|you|they|who|he|she) (?:can|can't|cannot)
    (?:said|told|know|heard|think|sure|say|says|sorry) that
    (?:to|can|could|will|would|should|must|please|we) (?:please )?(?:make|register|order|send|use|buy|put|show|need)
    (?:to|can|could|will|would|should|must|please|we) (?:please )?(?:want|discuss|describe|report|collect|receive|keep)
    (?:to|can|could|will|would|should|must|please|we) (?:please )?(?:bring|fill|get|give|find|take|make|confirm|renew)
    (?:could|can|would|will) (?:you|i|we) please
    (?:at|on|in|of|for|with) the same
    (?:by|under) (?:the|my) name
    have to
    """
)
"""They look closed and are not: what is named, asked for or handed over is still to come."""

CONTINUED = _endings(
    r"""
    a (?:bit|little|few|lot)
    (?:something|somebody|someone|anything|anybody|anyone)
    (?:usually|often|always|never|already|probably)
    (?:monday|tuesday|wednesday|thursday|friday|saturday|sunday|today|tomorrow|tonight)
    week
    (?:have|need|want|like|leave) (?:a|an|another) (?:message|question|problem|appointment|complaint|meeting)
    (?:yes|no|well|okay) (?:i|we) (?:would|could|should|might)
    (?:not|am|are|is|was|so|very|i'm|quite) (?:sure|certain|sorry|glad|happy|worried|ready|used)
    (?:have|need|want|take) (?:another|some|both)
    make it
    the (?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|\w+teenth|\w+tieth)
    (?:the|december|may|june|july|august|march|april|january|of) \d+(?:st|nd|rd|th)
    """
)
"""What may well end a sentence, and is as often followed by more: "on Tuesday" by the hour, "a message" by for whom."""
AFTERTHOUGHT = re.compile(r"\w+ \w+ \w+ \w+[,.] I (?:think|guess|hope|believe)[.?!]?$")
BEFORE_AMOUNT = _words("about around another over only least than need every within be")
"""What is counted comes after the number."""
ENDS_HOUR = _words("past to by until till before after")
MINUTES = _words("five ten fifteen twenty thirty forty forty-five fifty fifty-five 10 15 20 30 40 45 50")
ANNOUNCED = re.compile(r"[,.;] (?:it|this|that|which|he|she|they)[.?]?$", re.IGNORECASE)
"""The subject of another sentence."""
NEXT_SUBJECT = re.compile(
    r"\w+ (?:that|because|whether|if|when|while|but|until) "
    r"(?:my|the|your|our|his|her|a|an|this|mister|doctor|missus|dr|mr|mrs) [\w'-]+$"
)
""""because my son": what does he do?"""
SUBORDINATE = re.compile(
    r"^(?:(?:and|so|but|well|yes|no|um|uh)[, ]+)*"
    r"(?:because|if|unless|although|whenever|while|as (?:far|long|soon) as|"
    r"(?:when|before|after|once|since) (?!(?:is|are|do|does|did|can|could|will|would|should|was|were|have|has)\b))"
)
"""How a clause begins that is not the sentence itself."""
SUBJECT_ONLY = re.compile(
    LEAD + r"(?:the|a|an|my|your|our|his|her|this|that) (?!(?:\w+ )?(?:said|says|told|thinks?|hopes?|wants?) )"
    r"(?:[\w'-]+ ){1,3}(?:(?:that|who|which) (?:i|you|we|they|he|she|it)|i|we|they|he|she) (?:[\w'-]+ ?){1,4}$"
)
"""A subject and a clause about it: "the tooth that you filled last month"."""
VERBS = _words("is are was were am has have had does did do will would can could should must hurts feels looks isn't")
WANTS_OBJECT = re.compile(
    r"^(?!.*\b(?:that|which|who|what|everything|all)\b).* "
    r"(?:gave|brought|put|made|took|bought|sent|found|got|includes|needs|wants|takes|means|wanted|needed|received"
    r"|lost|missed|filled|forgot|spelling|taking|(?:i|we|he|she|they|have|has) left)$"
)
"""What was given, brought, made is still to come, unless it stood before: "the cream that you made"."""
SUBJECTS = _words("i you he she it we they i'm i'd i'll i've it's you're we're he's she's they're there that my")

COURTESY = _endings(
    r"""
    (?<!could you )(?<!can you )(?<!would you )please
    thanks(?: a lot)?
    thank you(?: very much| so much)?
    (?:good)?bye(?: bye)?
    that(?:'s| is|'ll be| was) (?:all|right|correct|fine|wrong|everything|okay|good|perfect|great)
    that (?:works|helps)
    sounds (?:good|great|fine|perfect)
    good (?:morning|evening|afternoon)
    """
)

LEFT_BEHIND = re.compile(
    LEAD + r"(?:who|what|where|which|how)\b.* "
    r"(?:to|for|at|on|in|of|with|from|by|about|is|are|was|open|cost|(?:that|it|this) be)$"
)
"""A preposition left behind by a question: "who am I speaking to"."""
BARE_LINK = re.compile(LEAD + r"(?:that|this|it|there|which|what|here|who)(?: is|'s|'ll| was| would)?$")
""""Yes, that is" (right)."""
TIDIED = re.compile(r"^(?:yes|no|yeah|well|okay) that(?:'s| is) it$")
"""What recognisers make of "yes, that is" (right)."""
QUESTION = re.compile(
    LEAD
    + r"(?:who|what|where|which|how|when|why|whose|can|could|would|do|does|did|is|are|will|may|have|has|should|am)\b"
)
NAME_GIVEN = re.compile(r"\b(?:name is|name's|i am|i'm|this is|under|called)\s+(?P<name>[a-z' -]+)$")
TITLES = _words("mister missus miss doctor mr mrs ms dr nurse")
NAME_LEAD = re.compile(
    r"^(?:(?:yes|no|well|um|uh|hello|hi|okay|sure|so)[, ]+)*"
    r"(?:(?:it is|it's|it should be|that is|that's)(?: |$))?(?:under )?"
)
"""What people say before their name."""
REFERENCE = re.compile(
    r"\b(?:invoice|customer|insurance|account|reference|order|policy|card|membership|file|patient|ticket) number\b"
)
"""Numbers of unknown length."""
BARE_SUBJECT = re.compile(
    LEAD + r"(?:(?:is|are|was)|(?:(?:how long|how much|how many \w+|how|when|where|why|what time|what) )?"
    r"(?:does|do|did|can|could|will|would|has|should|let)) "
    r"(?:the|my|your|our|his|her|doctor|dr|mister|missus) (?:whole )?[\w'-]+$"
)
""""Is the practice": a question that has got no further than its subject."""
