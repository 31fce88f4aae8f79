"""When are train points learnt and memorised: true and wrong labels, easy and hard points?"""
